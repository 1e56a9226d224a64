//! The page: HTML that needs nothing else. A header, a table that compares the hosts where there are
//! several, then charts and tables of each host.

use super::Unread;
use super::chart::{self, NotDrawn, PPM, SMALL, TALL, Unit, unit_of};
use super::lines::{Sample, Statistics, Update};
use super::numbers::{Point, Span, allan, mean, percentile, sorted};
use crate::units::DAY;
use chrono::DateTime;
use std::fmt::Write as _;

/// Sources with charts of their own; the table has all.
const CHARTS_MAX: usize = 24;
const STYLE: &str = "body{font:16px/1.45 sans-serif;color:#111;background:#fff;max-width:62rem;margin:1.5rem auto;\
padding:0 1rem}h1{font-size:1.6rem;margin:0}h2{font-size:1.2rem;margin:1.8rem 0 .3rem}h3{font-size:1rem;\
margin:1.2rem 0 .2rem}h2.host{font-size:1.4rem;border-top:2px solid #111;padding-top:.6rem;margin-top:2.5rem}\
p{margin:.3rem 0}p.note{color:#444;font-size:.85rem}svg{width:100%;height:auto;display:block}\
table{border-collapse:collapse;margin:.5rem 0;font-variant-numeric:tabular-nums}td,th{padding:.15rem .6rem;\
border-bottom:1px solid #ccc;text-align:right;white-space:nowrap}td:first-child,th:first-child{text-align:left}\
.wide{overflow-x:auto}footer{margin-top:2rem;color:#444;font-size:.85rem}@media print{body{font-size:10pt;margin:0;\
max-width:none}section,tr{break-inside:avoid}h2,h3{break-after:avoid}table{font-size:7.5pt}td,th{padding:.1rem .25rem}\
.wide{overflow:visible}@page{margin:12mm}}";
/// The percentiles of the summary.
const SHARES: [(&str, f64); 7] =
    [("min", 0.0), ("1 %", 0.01), ("5 %", 0.05), ("50 %", 0.5), ("95 %", 0.95), ("99 %", 0.99), ("max", 1.0)];

/// A host of the report: its directory, and its statistics or why there are none.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) statistics: Result<Statistics, Unread>,
}

/// Text between tags.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn date(at: f64) -> String {
    let time = DateTime::from_timestamp(at as i64, 0);
    time.map_or_else(|| "?".to_owned(), |time| time.format("%Y-%m-%d %H:%M UTC").to_string())
}

/// First and last time, and how long that is.
fn range(span: Span) -> String {
    let (hours, days) = (span.length() / 3600.0, span.length() / DAY as f64);
    let length = match days {
        d if d >= 3.0 => format!("{d:.1} days"),
        _ if hours >= 1.0 => format!("{hours:.1} hours"),
        _ => format!("{:.0} minutes", hours * 60.0),
    };
    format!("{} to {} ({length})", date(span.first), date(span.last))
}

/// A time with its unit, three decimals.
fn time(value: f64) -> String {
    let unit = unit_of(value);
    format!("{:.3}&nbsp;{}", value * unit.factor, unit.name)
}

fn ppm(value: f64) -> String {
    format!("{value:.3}&nbsp;ppm")
}

/// The unit for a series: most of its values have few digits in it.
fn unit_for(values: &[f64]) -> Unit {
    let sizes = sorted(values.iter().map(|value| value.abs()));
    unit_of(percentile(&sizes, 0.95).unwrap_or(0.0))
}

/// Makes the page; `now` is the time of the report, seconds since 1970.
///
/// # Errors
/// Where a chart could not be drawn.
pub(super) fn page(hosts: &[Host], now: f64) -> Result<String, NotDrawn> {
    let mut out = String::new();
    let names: Vec<String> = hosts.iter().map(|host| escaped(&host.name)).collect();
    let spans = hosts.iter().filter_map(|host| host.statistics.as_ref().ok()).map(Statistics::span);
    let whole = spans.fold(Span::NONE, Span::and);
    let title = if let [name] = &names[..] { name.clone() } else { format!("{} hosts", names.len()) };
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>Clock report: {title}</title><style>{STYLE}</style></head>\n<body>\
         <h1>Clock report</h1>\n<p>{}</p>\n<p>{}</p>\n<p class=\"note\">rsntpq {}, generated {}</p>\n",
        names.join(", "),
        range(whole),
        env!("CARGO_PKG_VERSION"),
        date(now),
    );
    if hosts.len() > 1 {
        out.push_str(&comparison(hosts));
    }
    for (host, index) in hosts.iter().zip(1..) {
        if hosts.len() > 1 {
            let _ = writeln!(out, "<h2 class=\"host\" id=\"host-{index}\">{}</h2>", escaped(&host.name));
        }
        match &host.statistics {
            Ok(statistics) => {
                if hosts.len() > 1 {
                    let _ = writeln!(out, "<p>{}</p>", range(statistics.span()));
                }
                whole_host(&mut out, statistics)?;
            }
            Err(why) => {
                let _ = writeln!(out, "<p>No data: {}</p>", escaped(&why.to_string()));
            }
        }
    }
    out.push_str(
        "<footer>Times are in UTC. The scale of a chart is made for the values between the percentiles 0.5 and \
         99.5; what is outside is drawn at the edge, with a triangle. Orange lines are percentiles. Charts with \
         many points show the least and the greatest value of each interval.</footer>\n</body></html>\n",
    );
    Ok(out)
}

/// A row for each host.
fn comparison(hosts: &[Host]) -> String {
    let mut rows = String::from(
        "<div class=\"wide\"><table><tr><th>host</th><th>days</th><th>updates</th><th>|offset| 50 %</th><th>95 %</th>\
         <th>99 %</th><th>max</th><th>jitter 50 %</th><th>frequency, mean</th><th>std dev</th></tr>\n",
    );
    for (host, index) in hosts.iter().zip(1..) {
        let _ = write!(rows, "<tr><td><a href=\"#host-{index}\">{}</a></td>", escaped(&host.name));
        if let Ok(statistics) = &host.statistics {
            let of = |value: fn(&Update) -> f64| sorted(statistics.updates.iter().map(value));
            let (offsets, jitters, frequencies) =
                (of(|u| u.offset.abs()), of(|u| u.jitter), of(|u| u.frequency));
            let cell = |values: &[f64], share| percentile(values, share).map_or_else(|| "–".to_owned(), time);
            let span = statistics.span();
            let _ = write!(
                rows,
                "<td>{:.1}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
                span.length() / DAY as f64,
                offsets.len(),
                cell(&offsets, 0.5),
                cell(&offsets, 0.95),
                cell(&offsets, 0.99),
                cell(&offsets, 1.0),
                cell(&jitters, 0.5),
            );
            let (average, deviation) = mean(&frequencies);
            if frequencies.is_empty() {
                rows.push_str("<td>–</td><td>–</td>");
            } else {
                let _ = write!(rows, "<td>{}</td><td>{}</td>", ppm(average), ppm(deviation));
            }
        } else {
            rows.push_str("<td colspan=\"9\" style=\"text-align:left\">no data</td>");
        }
        rows.push_str("</tr>\n");
    }
    rows.push_str("</table></div>\n");
    let mut out = String::new();
    section(&mut out, "Hosts", "", &rows);
    out
}

fn whole_host(out: &mut String, statistics: &Statistics) -> Result<(), NotDrawn> {
    let span = statistics.span();
    if statistics.updates.is_empty() {
        out.push_str("<p>No loopstats lines: no data about the clock itself.</p>\n");
    } else {
        clock(out, statistics, span)?;
    }
    sources(out, statistics, span)?;
    let samples: usize = statistics.sources.values().map(Vec::len).sum();
    let _ = writeln!(
        out,
        "<p class=\"note\">{} clock updates and {samples} source samples read; {} invalid lines and {} compressed \
         files ignored.</p>",
        statistics.updates.len(),
        statistics.skipped,
        statistics.compressed,
    );
    Ok(())
}

fn section(out: &mut String, title: &str, note: &str, body: &str) {
    let note = if note.is_empty() { String::new() } else { format!("<p>{note}</p>") };
    let _ = writeln!(out, "<section><h2>{title}</h2>{note}\n{body}</section>");
}

/// A chart, and a note about values outside its scale.
fn drawn(points: &[Point], span: Span, unit: Unit, height: u32) -> Result<String, NotDrawn> {
    let chart = chart::over_time(points, span, unit, height)?;
    let text = |value: f64| if unit == PPM { ppm(value) } else { time(value / unit.factor) };
    let note = chart.outside.map_or_else(String::new, |(count, least, most)| {
        let (are, values) = if count == 1 { ("is", "value") } else { ("are", "values") };
        format!(
            "<p class=\"note\">{count} {values} of {} {are} outside the scale; all lie between {} and {}.</p>",
            points.len(),
            text(least),
            text(most),
        )
    });
    Ok(chart.svg + &note)
}

fn clock(out: &mut String, statistics: &Statistics, span: Span) -> Result<(), NotDrawn> {
    let updates = &statistics.updates;
    let series = |value: fn(&Update) -> f64| -> (Vec<Point>, Vec<f64>) {
        (updates.iter().map(|u| (u.at, value(u))).collect(), sorted(updates.iter().map(value)))
    };
    let (offsets, sorted_offsets) = series(|update| update.offset);
    let (frequencies, sorted_frequencies) = series(|update| update.frequency);
    let (jitters, sorted_jitters) = series(|update| update.jitter);
    let mut table = String::from("<div class=\"wide\"><table><tr><th></th>");
    for (name, _) in SHARES {
        let _ = write!(table, "<th>{name}</th>");
    }
    table.push_str("<th>mean</th><th>std dev</th></tr>\n");
    let times: fn(f64) -> String = time;
    for (name, values, text) in [
        ("clock offset", &sorted_offsets, times),
        ("frequency offset", &sorted_frequencies, ppm),
        ("jitter", &sorted_jitters, time),
    ] {
        table.push_str(&summary_row(name, values, text));
    }
    table.push_str("</table></div>\n");
    section(out, "Summary", "", &table);
    for (title, note, points, unit) in [
        (
            "Clock offset",
            "As estimated at each update, before it was corrected.",
            &offsets,
            unit_for(&sorted_offsets),
        ),
        (
            "Frequency offset",
            "The frequency error of the clock, which is corrected. It changes with the temperature.",
            &frequencies,
            PPM,
        ),
        ("Jitter", "", &jitters, unit_for(&sorted_jitters)),
    ] {
        section(out, title, note, &drawn(points, span, unit, TALL)?);
    }
    let deviation = allan(&offsets);
    if deviation.len() >= 2 {
        let note = "Of the clock offsets: how much the frequency differs from one averaging interval to the next. \
                    It falls where network noise dominates, and rises where the clock's own wander does.";
        section(out, "Allan deviation", note, &chart::allan(&deviation)?);
    }
    Ok(())
}

fn summary_row(name: &str, values: &[f64], text: fn(f64) -> String) -> String {
    let mut row = format!("<tr><td>{name}</td>");
    for (_, share) in SHARES {
        let _ = write!(row, "<td>{}</td>", text(percentile(values, share).unwrap_or(0.0)));
    }
    let (average, deviation) = mean(values);
    let _ = writeln!(row, "<td>{}</td><td>{}</td></tr>", text(average), text(deviation));
    row
}

fn sources(out: &mut String, statistics: &Statistics, span: Span) -> Result<(), NotDrawn> {
    if statistics.sources.is_empty() {
        return Ok(());
    }
    let mut table = String::from(
        "<div class=\"wide\"><table><tr><th>source</th><th>samples</th><th>system peer</th><th>offset 5 %</th>\
         <th>50 %</th><th>95 %</th><th>delay min</th><th>50 %</th><th>95 %</th><th>jitter 50 %</th></tr>\n",
    );
    for (name, samples) in &statistics.sources {
        table.push_str(&row(name, samples));
    }
    table.push_str("</table></div>\n");
    let note = "How often each source was the system peer, and its offset, delay and jitter.";
    section(out, "Sources", note, &table);
    for (name, samples) in statistics.sources.iter().take(CHARTS_MAX) {
        let name = escaped(name);
        for (what, value) in
            [("offset", (|s| s.offset) as fn(&Sample) -> f64), ("delay", |s: &Sample| s.delay)]
        {
            let points: Vec<Point> = samples.iter().map(|sample| (sample.at, value(sample))).collect();
            let values: Vec<f64> = samples.iter().map(value).collect();
            let chart = drawn(&points, span, unit_for(&values), SMALL)?;
            let _ = writeln!(out, "<section><h3>{name}: {what}</h3>{chart}</section>");
        }
    }
    if let Some(more) = statistics.sources.len().checked_sub(CHARTS_MAX + 1) {
        let _ = writeln!(out, "<p class=\"note\">{} more sources have no charts.</p>", more + 1);
    }
    Ok(())
}

fn row(name: &str, samples: &[Sample]) -> String {
    let of = |value: fn(&Sample) -> f64| sorted(samples.iter().map(value));
    let (offsets, delays) = (of(|s| s.offset), of(|s| s.delay));
    let jitters = sorted(samples.iter().filter_map(|sample| sample.jitter));
    let selected = samples.iter().filter(|sample| sample.selection >= 6).count();
    let cell = |values: &[f64], share| percentile(values, share).map_or_else(|| "–".to_owned(), time);
    format!(
        "<tr><td>{}</td><td>{}</td><td>{:.0}&nbsp;%</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
         <td>{}</td><td>{}</td></tr>\n",
        escaped(name),
        samples.len(),
        100.0 * selected as f64 / samples.len().max(1) as f64,
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

    /// A clock update and a sample every 16 s; the first offset is as given.
    fn host(name: &str, count: u32, first: f64) -> Host {
        let mut statistics = Statistics::default();
        for index in 0..count {
            let noise = if index == 0 { first } else { f64::from(index * 7919 % 13) * 1e-6 };
            let at = format!("61000 {}.000", index * 16);
            statistics.take_loop(&format!("{at} {noise:.9} 12.500 0.000001000 0.001 6"));
            statistics.take_peer(&format!("{at} <b>&x 961a {noise:.9} 0.001 0.002 0.000001"));
        }
        statistics.finish();
        Host { name: name.to_owned(), statistics: Ok(statistics) }
    }

    fn whole(text: &str) {
        assert!(text.starts_with("<!DOCTYPE html>") && text.ends_with("</html>\n"));
        for tag in ["section", "table", "tr", "td", "th", "p", "h2", "svg"] {
            let opened =
                text.matches(&format!("<{tag}>")).count() + text.matches(&format!("<{tag} ")).count();
            assert_eq!(opened, text.matches(&format!("</{tag}>")).count(), "{tag}");
        }
        assert!(!text.contains("NaN") && !text.contains("inf&nbsp;"), "{text}");
        for loaded in ["http://", "https://", "<script", "<link", "<img", "@import"] {
            // The name space of SVG is an address, and nothing loads it.
            let allowed = if loaded == "http://" { text.matches("<svg").count() } else { 0 };
            assert_eq!(text.matches(loaded).count(), allowed, "{loaded}");
        }
    }

    #[test]
    fn a_page_is_whole_and_names_are_harmless() {
        let text = page(&[host("/var/log/<ntp>", 200, 1e-6)], 1_795_707_856.0).unwrap();
        whole(&text);
        assert!(text.contains("&lt;b&gt;&amp;x") && !text.contains("<b>") && !text.contains("<ntp>"));
        assert_eq!(text.matches("<svg").count(), 6, "offset, frequency, jitter, Allan, two of the source");
        assert!(!text.contains("outside the scale; all"));
    }

    #[test]
    fn d12_a_page_has_a_header_percentiles_and_marks_outliers() {
        let text = page(&[host("/var/log/ntpstats", 1000, 0.9)], 1_795_707_856.0).unwrap();
        whole(&text);
        let header =
            concat!("<p class=\"note\">rsntpq ", env!("CARGO_PKG_VERSION"), ", generated 2026-11-26 ");
        for part in [
            "<h1>Clock report</h1>",
            header,
            "<p>2025-11-21 00:00 UTC to 2025-11-21 04:26 UTC (4.4 hours)</p>",
            "<h2>Summary</h2>",
            "<h2>Clock offset</h2>",
            "<th>1 %</th><th>5 %</th><th>50 %</th><th>95 %</th><th>99 %</th><th>max</th>",
            "1 value of 1000 is outside the scale; all lie between 0.000&nbsp;ns and 900.000&nbsp;ms.",
        ] {
            assert!(text.contains(part), "{part}");
        }
    }

    #[test]
    fn d12_several_hosts_share_a_page() {
        let nothing = Host {
            name: "c".to_owned(),
            statistics: Err(Unread::NoLine { folder: "<c>".into(), compressed: false }),
        };
        let hosts = [host("a", 300, 0.0), host("b", 1, 0.25), nothing];
        let text = page(&hosts, 0.0).unwrap();
        whole(&text);
        assert!(text.contains("<title>Clock report: 3 hosts</title>") && text.contains("<p>a, b, c</p>"));
        for (index, name) in [(1, "a"), (2, "b"), (3, "c")] {
            assert!(text.contains(&format!("<h2 class=\"host\" id=\"host-{index}\">{name}</h2>")));
            assert!(text.contains(&format!("<td><a href=\"#host-{index}\">{name}</a></td>")));
        }
        assert!(text.contains("<p>No data: &lt;c&gt;: no line of loopstats or peerstats found</p>"));
        assert_eq!(text.matches("<h2>Clock offset</h2>").count(), 2);
    }
}
