//! Charts as SVG. Black on white and one line a chart: they are read on paper, too.

use super::numbers::{Point, thinned};
use chrono::DateTime;
use plotters::prelude::*;

/// Width and heights, in the charts' own units: the page scales them.
const WIDTH: u32 = 960;
/// See [`WIDTH`].
pub(super) const TALL: u32 = 260;
/// See [`WIDTH`].
pub(super) const SMALL: u32 = 170;
/// Stretches of time drawn: about one for a unit of width.
const STRETCHES: usize = 900;
/// A step of two greys and a blue that print well.
const LINE: RGBColor = RGBColor(0, 70, 130);
const GRID: RGBColor = RGBColor(215, 215, 215);

/// A unit that makes numbers short.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    pub(super) factor: f64,
}

/// Of ppm.
pub(super) const PPM: Unit = Unit { name: "ppm", factor: 1.0 };

/// The unit for times of this size, in seconds.
pub(super) fn unit_of(size: f64) -> Unit {
    match size.abs() {
        s if s >= 1.0 => Unit { name: "s", factor: 1.0 },
        s if s >= 1e-3 => Unit { name: "ms", factor: 1e3 },
        s if s >= 1e-6 => Unit { name: "µs", factor: 1e6 },
        _ => Unit { name: "ns", factor: 1e9 },
    }
}

/// The least and the greatest, a little apart even if they are the same.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (least, most) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
    let margin = (most - least) * 0.05;
    let margin = if margin > 0.0 { margin } else { most.abs().max(1e-3) * 0.1 };
    (least - margin, most + margin)
}

/// The axis of time counts hours up to three days, then days, from the first midnight on: so its marks
/// stand at whole ones.
#[derive(Clone, Copy)]
struct Axis {
    midnight: f64,
    unit: f64,
}

const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

impl Axis {
    fn of(time: (f64, f64)) -> Self {
        let unit = if time.1 - time.0 <= 3.0 * DAY { HOUR } else { DAY };
        Self { midnight: (time.0 / DAY).floor() * DAY, unit }
    }

    fn place(self, at: f64) -> f64 {
        (at - self.midnight) / self.unit
    }

    /// The mark at a place: the time of day; at midnight, and for days, the date.
    fn mark(self, place: f64) -> String {
        let at = (self.midnight + place * self.unit).round() as i64;
        let form = if at.rem_euclid(DAY as i64) == 0 { "%d %b" } else { "%H:%M" };
        DateTime::from_timestamp(at, 0).map_or_else(String::new, |time| time.format(form).to_string())
    }
}

/// Values over time, in a unit; `time` is the whole page's span.
pub(super) fn over_time(
    points: &[Point],
    time: (f64, f64),
    unit: Unit,
    height: u32,
) -> Result<String, String> {
    let axis = Axis::of(time);
    let points: Vec<Point> =
        thinned(points, STRETCHES).into_iter().map(|(at, v)| (axis.place(at), v * unit.factor)).collect();
    let (low, high) = range(points.iter().map(|(_, value)| *value));
    let start = axis.place(time.0);
    let span = (axis.place(time.1) - start).max(1e-3);
    let mut text = String::new();
    let mut draw = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut text, (WIDTH, height)).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(6)
            .margin_right(20)
            .x_label_area_size(26)
            .y_label_area_size(76)
            .build_cartesian_2d(start..start + span, low..high)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_labels(9)
            .y_labels(6)
            .x_label_formatter(&|place| axis.mark(*place))
            .y_label_formatter(&|value| label(*value, high - low))
            .y_desc(unit.name)
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()?;
        // A gap stays a gap: what nobody measured is not drawn.
        let gap = span / 40.0;
        for run in points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            match run {
                [alone] => chart.draw_series([Circle::new(*alone, 2, LINE.filled())])?,
                _ => chart.draw_series(LineSeries::new(run.iter().copied(), &LINE))?,
            };
        }
        area.present()?;
        Ok(())
    };
    draw().map_err(|error| error.to_string())?;
    Ok(text)
}

/// A number with as many decimals as the axis needs.
fn label(value: f64, span: f64) -> String {
    let digits = (2.0 - span.log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// The Allan deviation, both axes by powers of ten.
pub(super) fn allan(points: &[Point]) -> Result<String, String> {
    let (first, last) =
        points.iter().fold((f64::MAX, 0.0_f64), |(a, b), (tau, _)| (a.min(*tau), b.max(*tau)));
    let (low, high) = points.iter().fold((f64::MAX, 0.0_f64), |(a, b), (_, v)| (a.min(*v), b.max(*v)));
    let mut text = String::new();
    let mut draw = || -> Result<(), Box<dyn std::error::Error>> {
        let area = SVGBackend::with_string(&mut text, (WIDTH, TALL)).into_drawing_area();
        let across = (first * 0.8..last * 1.25).log_scale();
        let up = (low.max(1e-18) * 0.5..high.max(1e-17) * 2.0).log_scale();
        let mut chart = ChartBuilder::on(&area)
            .margin(6)
            .margin_right(20)
            .x_label_area_size(40)
            .y_label_area_size(76)
            .build_cartesian_2d(across, up)?;
        chart
            .configure_mesh()
            .light_line_style(WHITE)
            .bold_line_style(GRID)
            .x_label_formatter(&|tau| format!("{tau:.0}"))
            .y_label_formatter(&|value| format!("{value:.0e}"))
            .x_desc("averaging time, s")
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), &LINE))?;
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 3, LINE.filled())))?;
        area.present()?;
        Ok(())
    };
    draw().map_err(|error| error.to_string())?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_labels() {
        let names = [2.0, 0.5, 5e-5, 3e-9].map(|size| unit_of(size).name);
        assert_eq!(names, ["s", "ms", "µs", "ns"]);
        assert_eq!(
            (label(1.5, 100.0), label(1.5, 1.0), label(1.5, 0.01)),
            ("2".into(), "1.50".into(), "1.5000".into())
        );
        let (hours, days) = (Axis::of((90_000.0, 180_000.0)), Axis::of((90_000.0, 900_000.0)));
        assert_eq!(
            (hours.place(90_000.0), hours.mark(1.0), hours.mark(24.0)),
            (1.0, "01:00".into(), "03 Jan".into())
        );
        assert_eq!((days.mark(1.0), days.mark(1.5)), ("03 Jan".to_owned(), "12:00".to_owned()));
    }

    #[test]
    fn any_points_make_a_chart() {
        let same = [(0.0, 1.0), (1.0, 1.0)];
        for points in [&same[..], &same[..1], &[(0.0, 0.0)]] {
            let text = over_time(points, (0.0, 1.0), PPM, SMALL).unwrap();
            assert!(text.starts_with("<svg") && text.trim_end().ends_with("</svg>"));
        }
        assert!(allan(&[(1.0, 1e-6), (2.0, 0.0)]).unwrap().contains("averaging time"));
    }
}
