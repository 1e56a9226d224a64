//! `--plot DIR`: a page of three charts for each scenario, as SVG: the clock's error over time, its
//! Allan deviation, and the error against the packets sent.

use crate::figures::{FIGURES, Kept, LIMITS};
use plotters::coord::Shift;
use plotters::coord::combinators::WithKeyPoints;
use plotters::prelude::*;
use sim::link::Queue;
use sim::scenario::Scenario;
use sim::sweep::in_parallel;
use std::ops::Range;
use std::path::Path;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Point = (f64, f64);
type Drawing = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// Width and height of a page, and height of its title.
const PAGE: (u32, u32) = (1560, 470);
const TITLE: u32 = 44;
/// Stretches of time drawn, each with its least and greatest error.
const STRETCHES: usize = 450;
const POLLS: [u8; 5] = [6, 7, 8, 9, 10];

const OURS: RGBColor = RGBColor(0, 70, 150);
const NTPD: RGBColor = RGBColor(190, 60, 30);
const NEWER: RGBColor = RGBColor(225, 140, 20);
const CHRONYD: RGBColor = RGBColor(20, 130, 70);
const BOUND: RGBColor = RGBColor(110, 110, 110);
const GRID: RGBColor = RGBColor(222, 222, 222);

/// What is drawn of a scenario.
struct Drawn {
    /// The clock's error of the first seed, each second, seconds.
    errors: Vec<f64>,
    /// Packets and rms in µs as it chooses its polls.
    chosen: Point,
    /// The same at fixed polls.
    fixed: Vec<Point>,
}

/// Draws a page for each scenario into `folder`, which is made.
pub(crate) fn draw(
    folder: &Path,
    scenarios: &[Scenario],
    seeds: &[u64],
    duration: f64,
) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let all = in_parallel(scenarios, |scenario| measure(scenario, seeds, duration));
    for (scenario, drawn) in scenarios.iter().zip(&all) {
        let file = folder.join(format!("{}.svg", scenario.name));
        page(&file, scenario, drawn).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("wrote {}", file.display());
    }
    Ok(())
}

/// Packets of a run of 100,000 s, and rms in µs; the median of the seeds.
fn kept(scenario: &Scenario, seeds: &[u64], duration: f64) -> Point {
    let mut runs: Vec<Point> = seeds
        .iter()
        .map(|seed| scenario.run(*seed, duration))
        .map(|report| (report.packets as f64 * 1e5 / duration, report.rms * 1e6))
        .collect();
    runs.sort_by(|a, b| a.1.total_cmp(&b.1));
    runs[runs.len() / 2]
}

fn measure(scenario: &Scenario, seeds: &[u64], duration: f64) -> Drawn {
    let mut errors = Vec::new();
    scenario.watch(seeds[0], duration, |_, error| errors.push(error));
    let at = |poll: u8| kept(&Scenario { minpoll: poll, maxpoll: poll, ..*scenario }, seeds, duration);
    Drawn { errors, chosen: kept(scenario, seeds, duration), fixed: POLLS.map(at).to_vec() }
}

fn title(scenario: &Scenario) -> String {
    let s = scenario;
    let (up, down) = (queues(s.up), queues(s.down));
    let both = if up == down { format!("queues: {up}") } else { format!("queues up: {up}, down: {down}") };
    let several = if s.servers == 1 { "" } else { "s" };
    format!(
        "{}  –  base delay {:.1} ms, {both}, wander {:.0e} per √s, {} server{several}",
        s.name,
        s.base * 1e3,
        s.wander,
        s.servers
    )
}

/// A law of queueing in words.
fn queues(queue: Queue) -> String {
    let us = |seconds: f64| format!("{:.0} µs", seconds * 1e6);
    match queue {
        Queue::Exponential(mean) => format!("exponential, mean {}", us(mean)),
        Queue::Burst(mean, extra) => format!("exponential, mean {}, bursts of {}", us(mean), us(extra)),
        other => format!("{other:?}"),
    }
}

fn page(file: &Path, scenario: &Scenario, drawn: &Drawn) -> Drawing {
    let page = SVGBackend::new(file, PAGE).into_drawing_area();
    page.fill(&WHITE)?;
    let (head, body) = page.split_vertically(TITLE);
    head.draw(&Text::new(title(scenario), (18, 14), ("sans-serif", 19)))?;
    let (left, rest) = body.split_horizontally(620);
    let (middle, right) = rest.split_horizontally(450);
    over_time(&left, &drawn.errors)?;
    allan(&middle, scenario, &drawn.errors)?;
    by_packets(&right, scenario, drawn)?;
    page.present()?;
    Ok(())
}

/// The error over time, each stretch from its least to its greatest. The start is cut off above.
fn over_time(area: &Area<'_>, errors: &[f64]) -> Drawing {
    let settled = &errors[errors.len() / 5..];
    let most = settled.iter().fold(0f64, |most, e| most.max(e.abs()));
    let (unit, factor) = if most < 1e-3 { ("µs", 1e6) } else { ("ms", 1e3) };
    let high = most * factor * 1.15;
    let hours = errors.len() as f64 / 3600.0;
    let mut chart = ChartBuilder::on(area)
        .caption("error of the clock, first seed", ("sans-serif", 16))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..hours, -high..high)?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_labels(10)
        .y_labels(9)
        .x_label_formatter(&|x| format!("{x:.0}"))
        .y_label_formatter(&|y| plain(*y))
        .x_desc("time, hours")
        .y_desc(unit)
        .label_style(("sans-serif", 14))
        .draw()?;
    let length = errors.len().div_ceil(STRETCHES);
    let band = errors.chunks(length).enumerate().flat_map(|(index, stretch)| {
        let at = (index * length) as f64 / 3600.0;
        let least = stretch.iter().copied().fold(f64::INFINITY, f64::min) * factor;
        let greatest = stretch.iter().copied().fold(f64::NEG_INFINITY, f64::max) * factor;
        [(at, least.clamp(-high, high)), (at, greatest.clamp(-high, high))]
    });
    chart.draw_series(LineSeries::new(band, OURS.stroke_width(1)))?;
    Ok(())
}

/// The Allan deviation of a clock's error, one value a second, for averages of 1, 2, 5, 10 … seconds.
fn deviations(errors: &[f64]) -> Vec<Point> {
    let spans = [1, 2, 5].into_iter().flat_map(|step| (0..5).map(move |power| step * 10usize.pow(power)));
    let mut spans: Vec<usize> = spans.filter(|span| span * 4 < errors.len()).collect();
    spans.sort_unstable();
    let deviation = |m: usize| {
        let bends = errors
            .iter()
            .zip(&errors[m..])
            .zip(&errors[2 * m..])
            .map(|((a, b), c)| (c - 2.0 * b + a).powi(2));
        let count = (errors.len() - 2 * m) as f64;
        (bends.sum::<f64>() / (2.0 * (m * m) as f64 * count)).sqrt()
    };
    spans.into_iter().map(|m| (m as f64, deviation(m))).filter(|p| p.1 > 0.0).collect()
}

/// A range for an axis by powers of ten that holds all of these, with some air.
fn decades(values: impl Iterator<Item = f64>) -> Range<f64> {
    let (low, high) = values.fold((f64::INFINITY, 0f64), |(a, b), v| (a.min(v), b.max(v)));
    low / 1.5..high * 1.7
}

/// Makes room above all points for the legend, as a part of their own height.
fn with_legend(range: Range<f64>, part: f64) -> Range<f64> {
    range.start..range.end * (range.end / range.start).powf(part)
}

/// An axis by powers of ten, with marks at 1, 2 and 5 of each where these are few enough to be read.
fn logarithmic(range: Range<f64>) -> WithKeyPoints<LogCoord<f64>> {
    let few = range.end / range.start < 300.0;
    let steps: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let marks = (-16..7).flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
    let marks: Vec<f64> = marks.filter(|mark| range.contains(mark)).collect();
    range.log_scale().with_key_points(marks)
}

fn allan(area: &Area<'_>, scenario: &Scenario, errors: &[f64]) -> Drawing {
    let ours = deviations(&errors[errors.len() / 5..]);
    // A frequency that walks at random has a deviation of wander × √(τ/3).
    let free = ours.iter().map(|p| (p.0, scenario.wander * (p.0 / 3.0).sqrt()));
    let up = with_legend(decades(ours.iter().map(|p| p.1).chain(free.clone().map(|p| p.1))), 0.2);
    let across = decades(ours.iter().map(|p| p.0));
    let mut chart = ChartBuilder::on(area)
        .caption("Allan deviation", ("sans-serif", 16))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(66)
        .build_cartesian_2d(logarithmic(across), logarithmic(up))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&|x| plain(*x))
        .y_label_formatter(&|y| format!("{y:.0e}"))
        .x_desc("averaged over, seconds")
        .label_style(("sans-serif", 14))
        .draw()?;
    chart
        .draw_series(LineSeries::new(free, BOUND.stroke_width(2)))?
        .label("clock left alone")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BOUND.stroke_width(2)));
    chart
        .draw_series(LineSeries::new(ours, OURS.stroke_width(2)))?
        .label("disciplined")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], OURS.stroke_width(2)));
    legend(&mut chart)
}

fn legend<'a, C: CoordTranslate>(chart: &mut ChartContext<'a, SVGBackend<'a>, C>) -> Drawing {
    let mut labels = chart.configure_series_labels();
    labels.position(SeriesLabelPosition::UpperRight).background_style(WHITE.mix(0.85)).border_style(GRID);
    labels.label_font(("sans-serif", 14)).draw()?;
    Ok(())
}

fn by_packets(area: &Area<'_>, scenario: &Scenario, drawn: &Drawn) -> Drawing {
    let Some(peers) = FIGURES.iter().find(|f| f.name == scenario.name) else { return Ok(()) };
    let servers = scenario.servers as f64;
    let packets = |poll: u8| 1e5 / f64::from(1u32 << poll) * servers;
    let bound: Vec<Point> = LIMITS
        .iter()
        .filter(|l| l.0 == scenario.name)
        .flat_map(|l| POLLS.into_iter().map(packets).zip(l.1))
        .collect();
    let at = |(rms, packets): Kept| (packets, rms);
    let points = [
        ("ntpd 4.2.6p5", at(peers.ntpd), NTPD),
        ("ntpd 4.3.91", at(peers.newer), NEWER),
        ("chronyd", at(peers.chronyd), CHRONYD),
        ("ours, as it chooses", drawn.chosen, OURS),
        ("our goal", at(peers.goal), BLACK),
    ];
    let every = || bound.iter().chain(&drawn.fixed).copied().chain(points.iter().map(|p| p.1));
    let across = decades(every().map(|p| p.0));
    let up = with_legend(decades(every().map(|p| p.1)), 0.55);
    let mut chart = ChartBuilder::on(area)
        .caption("rms error by packets sent", ("sans-serif", 16))
        .margin(10)
        .margin_right(24)
        .x_label_area_size(44)
        .y_label_area_size(70)
        .build_cartesian_2d(logarithmic(across), logarithmic(up))?;
    chart
        .configure_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .x_label_formatter(&|x| plain(*x))
        .y_label_formatter(&|y| plain(*y))
        .x_desc("packets in 100,000 s")
        .y_desc("µs")
        .label_style(("sans-serif", 14))
        .draw()?;
    if !bound.is_empty() {
        chart
            .draw_series(LineSeries::new(bound, BOUND.stroke_width(2)))?
            .label("Kalman filter, all known")
            .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], BOUND.stroke_width(2)));
    }
    chart
        .draw_series(LineSeries::new(drawn.fixed.iter().copied(), OURS.stroke_width(2)).point_size(3))?
        .label("ours, polls 6 to 10")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 16, y)], OURS.stroke_width(2)));
    for (name, at, colour) in points {
        let style = if name == "our goal" { colour.stroke_width(2) } else { colour.filled() };
        chart
            .draw_series([Circle::new(at, 6, style)])?
            .label(name)
            .legend(move |(x, y)| Circle::new((x + 8, y), 5, style));
    }
    legend(&mut chart)
}

/// A number as people write it.
fn plain(value: f64) -> String {
    match value.abs() {
        v if v >= 10.0 || v == 0.0 => format!("{value:.0}"),
        v if v >= 0.1 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
