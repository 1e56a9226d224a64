//! Charts as SVG. Black on white and one line a chart: they are read on paper, too.

use super::numbers::{Point, Span, percentile, sorted, thinned};
use chrono::DateTime;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::fmt;

/// Width and heights, in the charts' own units: the page scales them.
const WIDTH: u32 = 960;
/// See [`WIDTH`].
pub(super) const TALL: u32 = 260;
/// See [`WIDTH`].
pub(super) const SMALL: u32 = 170;
/// Stretches of time drawn: about one for a unit of width.
const STRETCHES: usize = 900;
/// Colours that differ in print, too.
const LINE: RGBColor = RGBColor(0, 70, 130);
const GRID: RGBColor = RGBColor(215, 215, 215);
const PERCENTILE: RGBColor = RGBColor(205, 110, 0);
const OUTSIDE: RGBColor = RGBColor(190, 40, 20);
/// Space at the right for the labels of percentile lines, their height, and the height of the time axis.
const LABEL_WIDTH: u32 = 44;
const LABEL_HEIGHT: f64 = 11.0;
const AXIS_HEIGHT: u32 = 26;
/// Share of the values that the scale leaves out at each end.
const TAIL: f64 = 0.005;
/// The percentile lines, the most wanted labels first.
const LINES: [(&str, f64); 5] = [("50 %", 0.5), ("99 %", 0.99), ("1 %", 0.01), ("95 %", 0.95), ("5 %", 0.05)];

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

/// The time axis counts hours up to three days, then days, from the first midnight on: so its marks
/// stand at whole ones.
#[derive(Clone, Copy)]
struct Axis {
    midnight: f64,
    unit: f64,
    /// How a mark that is no midnight looks, and one that is.
    form: (&'static str, &'static str),
}

const HOUR: f64 = 3600.0;
const DAY: f64 = crate::units::DAY as f64;

impl Axis {
    fn of(time: Span) -> Self {
        let span = time.length();
        let unit = if span <= 3.0 * DAY { HOUR } else { DAY };
        let form = match span {
            s if s <= DAY => ("%H:%M", "%d %b"),
            s if s <= 300.0 * DAY => ("%d %b %H:%M", "%d %b"),
            _ => ("%Y-%m-%d", "%Y-%m-%d"),
        };
        Self { midnight: (time.first / DAY).floor() * DAY, unit, form }
    }

    fn place(self, at: f64) -> f64 {
        (at - self.midnight) / self.unit
    }

    /// First and last place; a quarter of an hour at least, with the time in its middle.
    fn across(self, time: Span) -> Span {
        let (first, last) = (self.place(time.first), self.place(time.last));
        let missing = (0.25 * HOUR / self.unit - (last - first)).max(0.0);
        Span::new(first - missing / 2.0, last + missing / 2.0)
    }

    /// The mark at a place: the time of day, or the date, or both.
    fn mark(self, place: f64) -> String {
        let at = (self.midnight + place * self.unit).round() as i64;
        let form = if at.rem_euclid(DAY as i64) == 0 { self.form.1 } else { self.form.0 };
        DateTime::from_timestamp(at, 0).map_or_else(String::new, |time| time.format(form).to_string())
    }
}

/// A chart of values over time.
pub(super) struct Chart {
    pub(super) svg: String,
    /// How many values are outside the scale, with the least and the greatest of all, in its unit.
    pub(super) outside: Option<(usize, f64, f64)>,
}

/// A chart's points, axis and scale, in its unit.
struct Plot {
    axis: Axis,
    /// The time axis: first and last place.
    across: Span,
    /// The scale.
    up: (f64, f64),
    height: u32,
    points: Vec<Point>,
    /// Values of the percentile lines, in the order in which they get labels.
    lines: Vec<(&'static str, f64)>,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Panel<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// A chart could not be drawn, for the drawing library's reason.
#[derive(Debug)]
pub(super) struct NotDrawn(Box<dyn std::error::Error>);

impl fmt::Display for NotDrawn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Values over time, in a unit; `time` is the whole page's span.
pub(super) fn over_time(points: &[Point], time: Span, unit: Unit, height: u32) -> Result<Chart, NotDrawn> {
    let values = sorted(points.iter().map(|(_, value)| value * unit.factor));
    let axis = Axis::of(time);
    let up = scale(&values);
    let at = |(label, share): (&'static str, f64)| Some((label, percentile(&values, share)?));
    let plot = Plot {
        axis,
        across: axis.across(time),
        up,
        height,
        points: thinned(points, STRETCHES)
            .into_iter()
            .map(|(at, value)| (axis.place(at), value * unit.factor))
            .collect(),
        lines: LINES.into_iter().filter(|_| values.len() > 1).filter_map(at).collect(),
    };
    let mut svg = String::new();
    plot.draw(&SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area(), unit)
        .map_err(NotDrawn)?;
    let outside = values.iter().filter(|value| **value < up.0 || up.1 < **value).count();
    let extremes = values.first().zip(values.last()).filter(|_| outside > 0);
    Ok(Chart { svg, outside: extremes.map(|(least, most)| (outside, *least, *most)) })
}

impl Plot {
    fn draw(&self, area: &Area<'_>, unit: Unit) -> Drawn {
        let mut panel = ChartBuilder::on(area)
            .margin(6)
            .margin_right(LABEL_WIDTH)
            .x_label_area_size(AXIS_HEIGHT)
            .y_label_area_size(76)
            .build_cartesian_2d(self.across.first..self.across.last, self.up.0..self.up.1)?;
        panel
            .configure_mesh()
            .max_light_lines(0)
            .bold_line_style(GRID)
            .x_labels(9)
            .y_labels(6)
            .x_label_formatter(&|place| self.axis.mark(*place))
            .y_label_formatter(&|value| label(*value, self.up.1 - self.up.0))
            .y_desc(unit.name)
            .label_style(("sans-serif", 13))
            .axis_desc_style(("sans-serif", 14))
            .draw()?;
        self.draw_points(&mut panel)?;
        self.draw_percentiles(&mut panel)?;
        self.draw_outside(&mut panel)?;
        area.present()?;
        Ok(())
    }

    /// Lines with labels at the right; a label that would cover another is left out.
    fn draw_percentiles(&self, panel: &mut Panel<'_, '_>) -> Drawn {
        let pixels = f64::from(self.height.saturating_sub(AXIS_HEIGHT + 12));
        let mut taken: Vec<f64> = Vec::new();
        for (label, value) in self.lines.iter().filter(|(_, value)| (self.up.0..=self.up.1).contains(value)) {
            let ends = [(self.across.first, *value), (self.across.last, *value)];
            panel.draw_series(LineSeries::new(ends, &PERCENTILE))?;
            let place = (value - self.up.0) / (self.up.1 - self.up.0) * pixels;
            if taken.iter().all(|other| (place - other).abs() >= LABEL_HEIGHT) {
                taken.push(place);
                let style = ("sans-serif", 11).into_font().color(&PERCENTILE);
                let style = style.pos(Pos::new(HPos::Left, VPos::Center));
                let text = EmptyElement::at(ends[1]) + Text::new((*label).to_owned(), (4, 0), style);
                panel.draw_series(std::iter::once(text))?;
            }
        }
        Ok(())
    }

    fn draw_points(&self, panel: &mut Panel<'_, '_>) -> Drawn {
        // Gaps stay gaps: nothing is drawn where nothing was measured.
        let gap = self.across.length() / 40.0;
        let inside = |(place, value): &Point| (*place, value.clamp(self.up.0, self.up.1));
        for run in self.points.chunk_by(|a, b| b.0 - a.0 <= gap) {
            match run {
                [alone] => panel.draw_series([Circle::new(inside(alone), 2, LINE.filled())])?,
                _ => panel.draw_series(LineSeries::new(run.iter().map(inside), &LINE))?,
            };
        }
        Ok(())
    }

    /// Triangles at the edge, pointing to where the values are.
    fn draw_outside(&self, panel: &mut Panel<'_, '_>) -> Drawn {
        let marks = self.points.iter().filter_map(|(place, value)| {
            let (edge, base) = match value {
                v if *v > self.up.1 => (self.up.1, 8),
                v if *v < self.up.0 => (self.up.0, -8),
                _ => return None,
            };
            let corners = vec![(0, 0), (-5, base), (5, base)];
            Some(EmptyElement::at((*place, edge)) + Polygon::new(corners, OUTSIDE.filled()))
        });
        panel.draw_series(marks)?;
        Ok(())
    }
}

/// Fewer values than this have none beyond the percentiles of the scale.
const FEW: usize = 200;

/// The scale of sorted values, with a margin: the percentiles 0.5 to 99.5, so that a few large values do
/// not flatten all others. Of a few values the least and the greatest are treated so where they are further
/// away from the others than these are from one another.
fn scale(values: &[f64]) -> (f64, f64) {
    let (Some(least), Some(most)) = (values.first(), values.last()) else { return (-1.0, 1.0) };
    let cut = ((values.len() as f64 * TAIL) as usize).max(1);
    let inner = values.get(cut..values.len().saturating_sub(cut)).unwrap_or_default();
    let (mut low, mut high) = match (inner.first(), inner.last()) {
        (Some(first), Some(last)) if inner.len() >= 3 => (*first, *last),
        _ => (*least, *most),
    };
    if values.len() < FEW {
        let near = high - low;
        (low, high) =
            (if low - least <= near { *least } else { low }, if most - high <= near { *most } else { high });
    }
    let margin = (high - low) * 0.05;
    let margin = if margin > 0.0 { margin } else { high.abs().max(1e-3) * 0.1 };
    (low - margin, high + margin)
}

/// A number with as many decimals as the axis needs.
fn label(value: f64, span: f64) -> String {
    let digits = (2.0 - span.log10()).ceil().clamp(0.0, 6.0) as usize;
    format!("{value:.digits$}")
}

/// The Allan deviation, both axes by powers of ten.
pub(super) fn allan(points: &[Point]) -> Result<String, NotDrawn> {
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
    draw().map_err(NotDrawn)?;
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
        let (hours, days) =
            (Axis::of(Span::new(90_000.0, 170_000.0)), Axis::of(Span::new(90_000.0, 900_000.0)));
        assert_eq!(
            (hours.place(90_000.0), hours.mark(1.0), hours.mark(24.0)),
            (1.0, "01:00".into(), "03 Jan".into())
        );
        assert_eq!((days.mark(1.0), days.mark(1.5)), ("03 Jan".to_owned(), "03 Jan 12:00".to_owned()));
        assert_eq!(
            hours.across(Span::new(3600.0, 3600.0)),
            Span::new(-23.125, -22.875),
            "a single point is in the middle"
        );
    }

    #[test]
    fn any_points_make_a_chart() {
        let same = [(0.0, 1.0), (1.0, 1.0)];
        for points in [&same[..], &same[..1], &[(0.0, 0.0)], &[], &[(0.0, -1e10), (1.0, 1e10)]] {
            let chart = over_time(points, Span::new(0.0, 1.0), PPM, SMALL).unwrap();
            assert!(chart.svg.starts_with("<svg") && chart.svg.trim_end().ends_with("</svg>"));
            assert!(chart.outside.is_none() && !chart.svg.contains("NaN") && !chart.svg.contains("inf"));
        }
        assert!(allan(&[(1.0, 1e-6), (2.0, 0.0)]).unwrap().contains("averaging time"));
    }

    #[test]
    fn d12_a_few_large_values_do_not_set_the_scale() {
        // One large first offset, and 0.4 % of outliers on both sides, of 1000.
        let noise = |n: u32| f64::from(n * 7919 % 101) / 100.0;
        let mut points: Vec<Point> = (0..1000).map(|n| (f64::from(n), noise(n))).collect();
        points[0].1 = 5e3;
        for n in [100, 300, 500] {
            (points[n].1, points[n + 1].1) = (40.0, -40.0);
        }
        let chart = over_time(&points, Span::new(0.0, 1000.0), PPM, TALL).unwrap();
        assert_eq!(chart.outside, Some((7, -40.0, 5e3)));
        let triangles = chart.svg.matches("<polygon").count();
        assert_eq!(triangles, 7, "each of them is marked at the edge");
        for (line, _) in LINES {
            assert!(chart.svg.contains(line) || ["95 %", "5 %"].contains(&line), "{line}");
        }
        // A long tail is cut at the percentiles: 0.5 % on each side.
        let about = |values: &[f64], low: f64, high: f64| {
            let found = scale(values);
            assert!((found.0 - low).abs() < 1e-9 && (found.1 - high).abs() < 1e-9, "{found:?}");
        };
        let line: Vec<f64> = (0..=1000).map(f64::from).collect();
        about(&line, 5.0 - 49.5, 995.0 + 49.5);
        // Few values: only what is far from all others is outside.
        about(&[0.0, 1.0, 2.0, 3.0, 500.0], -0.15, 3.15);
        about(&[-4.0, 1.0, 2.0, 3.0, 4.0], 0.85, 4.15);
        about(&[0.0, 500.0], -25.0, 525.0);
    }

    #[test]
    fn d12_years_have_years_on_the_axis() {
        let axis = Axis::of(Span::new(0.0, 3.0 * 365.0 * DAY));
        assert_eq!((axis.mark(0.0), axis.mark(400.5)), ("1970-01-01".to_owned(), "1971-02-05".to_owned()));
    }
}
