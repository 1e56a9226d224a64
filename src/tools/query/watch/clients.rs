//! The page of clients, with the access rights of the selected one.

use super::explain;
use super::screen::{Mark, Style, bold, window};
use super::state::{Client, State};
use crate::tools::query::cooked::interval;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Color;
use ratatui::text::Line;
use ratatui::widgets::Paragraph;

const HEAD: &str = "  address                             port   packets  last  avgint v m restr";
/// `limited` took effect.
const LIMITED: i64 = 0x20;

/// Draws it below the head.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, style: Style) {
    let [list, detail] = Layout::vertical([Constraint::Min(2), Constraint::Length(7)]).areas(area);
    let (clients, complete, entries) = match &state.clients {
        None => return frame.render_widget(Paragraph::new(" reading the client list ..."), list),
        Some(Err(why)) => {
            let why = why.to_string();
            let text = format!(" client list not available: {}", why.trim_start_matches('*'));
            return frame.render_widget(Paragraph::new(text), list);
        }
        Some(Ok((clients, complete, entries))) => (clients, *complete, entries.as_deref()),
    };
    let mut lines = vec![bold(HEAD)];
    let selected = state.selected[1];
    for index in window(clients.len(), selected, usize::from(list.height.saturating_sub(1))) {
        lines.push(row(&clients[index], Mark::of(index, selected), style));
    }
    frame.render_widget(Paragraph::new(lines), list);
    let count = match (clients.len(), complete) {
        (count, true) => format!(" {} of {count} clients", (selected + 1).min(count)),
        (count, false) => format!(" {} of the first {count} clients", (selected + 1).min(count)),
    };
    let mut lines = vec![Line::raw(""), bold(count)];
    if let Some(client) = clients.get(selected) {
        lines.extend(described(client, entries));
    }
    frame.render_widget(Paragraph::new(lines), detail);
}

fn row(client: &Client, mark: Mark, style: Style) -> Line<'static> {
    let colour = style.colour(if client.restrictions & LIMITED == 0 { Color::Reset } else { Color::Yellow });
    let address: String = client.address.chars().take(35).collect();
    let text = format!(
        "{} {address:<35} {:>5} {:>8} {:>5} {:>7} {} {} {:x}",
        mark.letter(),
        client.port,
        client.packets,
        ago(client.last),
        ago(client.average),
        client.version,
        client.mode,
        client.restrictions,
    );
    Line::styled(text, mark.attributes(colour))
}

/// Seconds, minutes, hours or days; `0` is now.
fn ago(seconds: f64) -> String {
    match seconds.round() as i64 {
        0 => "0".to_owned(),
        whole => interval(whole),
    }
}

fn described(client: &Client, entries: Option<&[explain::Entry]>) -> Vec<Line<'static>> {
    let line = match entries.map(|entries| explain::line(entries, &client.address)) {
        Some(Some(line)) => format!("restrict line: {line}"),
        Some(None) => "restrict line: none reported".to_owned(),
        None => "restrict line: needs the control key (-a, -k)".to_owned(),
    };
    let mut lines =
        vec![Line::raw(format!(" {}: restrictions {}", client.address, explain::words(client.restrictions)))];
    lines.extend(explain::meaning(client.restrictions).into_iter().map(|text| Line::raw(format!(" {text}"))));
    lines.push(Line::raw(format!(" {line}")));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::state::{News, Page, State};
    use super::*;
    use crate::tools::link::Trouble;
    use crate::tools::query::mru::Entry;
    use crate::units::NtpTimestamp;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    #[test]
    fn a_client_is_explained() {
        let stamp = |low: u64| NtpTimestamp::from_bits(0xeead_8c00_0000_0000 + (low << 32));
        let entry = Entry {
            address: "192.0.2.7:1123".to_owned(),
            last: stamp(60),
            first: stamp(0),
            count: 4,
            mode_version: 0x23,
            restrictions: 0x5a0,
        };
        let client = Client::new(&entry, stamp(64));
        let row: Vec<_> =
            [("addr", "192.0.2.0"), ("mask", "255.255.255.0"), ("flags", "limited kod nomodify")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
        let entries = explain::Entry::new(&row.into_iter().collect()).into_iter().collect();
        let mut state = State::new("here");
        let clients = Some(Ok((vec![client], true, Some(entries))));
        state.take(News { at: std::time::Instant::now(), answers: Err(Trouble::Refused), clients });
        state.page = Page::Clients;
        let mut terminal = Terminal::new(TestBackend::new(80, 20)).unwrap();
        let style = Style { colours: false, unicode: false };
        terminal.draw(|frame| draw(frame, frame.area(), &state, style)).unwrap();
        let text = terminal.backend().to_string();
        for expected in [
            "> 192.0.2.7                            1123        4     4      20 4 3 5a0",
            " 1 of 1 clients",
            " 192.0.2.7: restrictions limited nomodify notrap kod",
            " ntpq queries, no changes (nomodify).",
            " restrict line: restrict 192.0.2.0/24 limited kod nomodify",
        ] {
            assert!(text.contains(expected), "{expected} is not in\n{text}");
        }
    }
}
