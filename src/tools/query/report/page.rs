//! The page: HTML that needs nothing else, with charts and tables in the order of the questions.

use super::chart::{self, PPM, SMALL, TALL, Unit, unit_of};
use super::lines::{Sample, Statistics};
use super::numbers::{Point, allan, mean, percentile, sorted};
use chrono::DateTime;
use std::fmt::Write as _;
use std::path::Path;

/// Sources with charts of their own; the table has all.
const CHARTS_MAX: usize = 24;
const STYLE: &str = "body{font:16px/1.45 sans-serif;color:#111;background:#fff;max-width:62rem;margin:1.5rem auto;\
padding:0 1rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:1.8rem 0 .3rem}h3{font-size:1rem;\
margin:1.2rem 0 .2rem}p{margin:.3rem 0}svg{width:100%;height:auto;display:block}table{border-collapse:collapse;\
margin:.5rem 0;font-variant-numeric:tabular-nums}td,th{padding:.15rem .7rem;border-bottom:1px solid #ccc;\
text-align:right}td:first-child,th:first-child{text-align:left}.wide{overflow-x:auto}footer{margin-top:2rem;\
color:#444;font-size:.85rem}@media print{body{font-size:10pt;margin:0;max-width:none}section,tr{break-inside:avoid}\
h2,h3{break-after:avoid}@page{margin:15mm}}";

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn date(at: f64) -> String {
    let time = DateTime::from_timestamp(at as i64, 0);
    time.map_or_else(|| "?".to_owned(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// A time with its unit, three digits behind the point.
fn time(value: f64) -> String {
    let unit = unit_of(value);
    format!("{:.3}&nbsp;{}", value * unit.factor, unit.name)
}

/// The unit for a series: most of its values have few digits in it.
fn unit_for(values: &[f64]) -> Unit {
    let sizes = sorted(values.iter().map(|value| value.abs()));
    unit_of(percentile(&sizes, 0.95).unwrap_or(0.0))
}

/// Makes the page.
///
/// # Errors
/// Where a chart could not be drawn.
pub(super) fn page(folder: &Path, statistics: &Statistics) -> Result<String, String> {
    let span = statistics.span();
    let mut out = String::new();
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Time of {0}</title><style>{STYLE}</style></head>\n<body>\
         <h1>How this machine kept time</h1>\n<p>{1} to {2}, from {0}</p>\n",
        escaped(&folder.display().to_string()),
        date(span.0),
        date(span.1),
    );
    if statistics.updates.is_empty() {
        out.push_str("<p>There are no lines of loopstats: nothing is known of the clock itself.</p>\n");
    } else {
        clock(&mut out, statistics, span)?;
    }
    sources(&mut out, statistics, span)?;
    let samples: usize = statistics.sources.values().map(Vec::len).sum();
    let _ = write!(
        out,
        "<footer>rsntpq {}: {} updates of the clock and {samples} samples of sources were read; {} lines were \
         not understood. Times are in UTC; charts with many points show the least and the greatest of each \
         stretch.</footer>\n</body></html>\n",
        env!("CARGO_PKG_VERSION"),
        statistics.updates.len(),
        statistics.skipped,
    );
    Ok(out)
}

fn section(out: &mut String, title: &str, remark: &str, body: &str) {
    let remark = if remark.is_empty() { String::new() } else { format!("<p>{remark}</p>") };
    let _ = writeln!(out, "<section><h2>{title}</h2>{remark}\n{body}</section>");
}

fn clock(out: &mut String, statistics: &Statistics, span: (f64, f64)) -> Result<(), String> {
    let updates = &statistics.updates;
    let series = |value: fn(&super::lines::Update) -> f64| -> (Vec<Point>, Vec<f64>) {
        (updates.iter().map(|u| (u.at, value(u))).collect(), sorted(updates.iter().map(value)))
    };
    let (offsets, sorted_offsets) = series(|update| update.offset);
    let (frequencies, sorted_frequencies) = series(|update| update.frequency);
    let (jitters, sorted_jitters) = series(|update| update.jitter);
    let sizes = sorted(sorted_offsets.iter().map(|offset| offset.abs()));
    let at = |values: &[f64], share| percentile(values, share).unwrap_or(0.0);
    let mut table = String::from(
        "<div class=\"wide\"><table><tr><th></th><th>50 %</th><th>90 %</th><th>95 %</th><th>99 %</th><th>most</th></tr>\n",
    );
    for (name, values) in [("offset, either way", &sizes), ("jitter", &sorted_jitters)] {
        let _ = write!(table, "<tr><td>{name}</td>");
        for share in [0.5, 0.9, 0.95, 0.99, 1.0] {
            let _ = write!(table, "<td>{}</td>", time(at(values, share)));
        }
        table.push_str("</tr>\n");
    }
    table.push_str("</table></div>\n");
    let (offset_mean, offset_deviation) = mean(&sorted_offsets);
    let (rate_mean, rate_deviation) = mean(&sorted_frequencies);
    let remark = format!(
        "Mean offset {}, standard deviation {}. Frequency correction {rate_mean:.3} ppm on average, from {:.3} \
         to {:.3} ppm (standard deviation {rate_deviation:.4} ppm).",
        time(offset_mean),
        time(offset_deviation),
        at(&sorted_frequencies, 0.0),
        at(&sorted_frequencies, 1.0),
    );
    section(out, "In figures", &remark, &table);
    let body = chart::over_time(&offsets, span, unit_for(&sorted_offsets), TALL)?;
    section(
        out,
        "Offset of the clock",
        "As it was estimated at each update, before it was corrected.",
        &body,
    );
    let body = chart::over_time(&frequencies, span, PPM, TALL)?;
    section(
        out,
        "Frequency correction",
        "What the clock's own rate is off by; it follows the temperature.",
        &body,
    );
    let body = chart::over_time(&jitters, span, unit_for(&sorted_jitters), TALL)?;
    section(out, "Jitter", "", &body);
    let deviation = allan(&offsets);
    if deviation.len() >= 2 {
        let remark = "Of the offsets above: how much the clock's rate differs from one such time to the next. It \
                      falls while noise of the network prevails and rises where the clock's own wander does.";
        section(out, "Allan deviation", remark, &chart::allan(&deviation)?);
    }
    Ok(())
}

fn sources(out: &mut String, statistics: &Statistics, span: (f64, f64)) -> Result<(), String> {
    if statistics.sources.is_empty() {
        return Ok(());
    }
    let mut table = String::from(
        "<div class=\"wide\"><table><tr><th>source</th><th>samples</th><th>followed</th><th>offset 5 %</th>\
         <th>50 %</th><th>95 %</th><th>delay least</th><th>50 %</th><th>95 %</th><th>jitter 50 %</th></tr>\n",
    );
    for (name, samples) in &statistics.sources {
        table.push_str(&row(name, samples));
    }
    table.push_str("</table></div>\n");
    section(
        out,
        "Sources",
        "How often each was the one that the clock followed, and what it said when it was asked.",
        &table,
    );
    for (name, samples) in statistics.sources.iter().take(CHARTS_MAX) {
        let name = escaped(name);
        for (what, value) in
            [("offset", (|s| s.offset) as fn(&Sample) -> f64), ("delay", |s: &Sample| s.delay)]
        {
            let points: Vec<Point> = samples.iter().map(|sample| (sample.at, value(sample))).collect();
            let values: Vec<f64> = samples.iter().map(value).collect();
            let chart = chart::over_time(&points, span, unit_for(&values), SMALL)?;
            let _ = writeln!(out, "<section><h3>{name}: {what}</h3>{chart}</section>");
        }
    }
    Ok(())
}

fn row(name: &str, samples: &[Sample]) -> String {
    let of = |value: fn(&Sample) -> f64| sorted(samples.iter().map(value));
    let (offsets, delays) = (of(|s| s.offset), of(|s| s.delay));
    let jitters = sorted(samples.iter().filter_map(|sample| sample.jitter));
    let followed = samples.iter().filter(|sample| sample.selection >= 6).count();
    let cell = |values: &[f64], share| percentile(values, share).map_or_else(|| "–".to_owned(), time);
    format!(
        "<tr><td>{}</td><td>{}</td><td>{:.0}&nbsp;%</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td></tr>\n",
        escaped(name),
        samples.len(),
        100.0 * followed as f64 / samples.len().max(1) as f64,
        cell(&offsets, 0.05),
        cell(&offsets, 0.5),
        cell(&offsets, 0.95),
        cell(&delays, 0.0),
        cell(&delays, 0.5),
        cell(&delays, 0.95),
        cell(&jitters, 0.5),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_names_are_harmless() {
        let mut statistics = Statistics::default();
        for second in 0..200 {
            let noise = f64::from(second * 7919 % 13) * 1e-6;
            statistics.take_loop(&format!("61000 {}.000 {noise:.9} 12.500 0.000001000 0.001 6", second * 16));
            statistics
                .take_peer(&format!("61000 {}.000 <b>&x 961a {noise:.9} 0.001 0.002 0.000001", second * 16));
        }
        statistics.finish();
        let text = page(Path::new("/var/log/<ntp>"), &statistics).unwrap();
        assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
        assert!(text.contains("&lt;b&gt;&amp;x") && !text.contains("<b>") && !text.contains("<ntp>"));
        assert_eq!(text.matches("<svg").count(), 6, "offset, frequency, jitter, Allan, two of the source");
        assert_eq!(text.matches("<section>").count(), text.matches("</section>").count());
        for loaded in ["http://", "https://", "<script", "<link", "<img", "@import"] {
            let found = text.matches(loaded).count();
            // The name space of SVG is an address, and nothing loads it.
            assert_eq!(found, if loaded == "http://" { 6 } else { 0 }, "{loaded}");
        }
    }
}
