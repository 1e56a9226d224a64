//! The picture: the head with the system, the page of sources, the help. Where the terminal knows
//! no Unicode, bars are made of ASCII; where there are no colours, nothing is shown by colour alone
//! anyway: tallies, bits and the mark of the selected row are characters.

use super::authentication::{self, Authentication};
use super::clients;
use super::state::{Page, Row, State};
use crate::tools::query::cooked::{cut, interval, millis};
use crate::tools::query::peers::refid;
use crate::units::DAY;
use crate::wire::event::flash;
use crate::wire::status::PeerStatus;
use crate::wire::varlist::unquoted;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style as Attributes};
use ratatui::symbols::bar;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

/// The heads of the columns of sources: what stands in [`cells`].
const HEAD: &str = "   remote          st poll next reach      offset   delay  jitter ";
/// That of one more, where a source is to be authenticated.
const HEAD_AUTHENTICATION: &str = "auth ";
/// Bars of ASCII, from none to full.
const ASCII: bar::Set<'static> = bar::Set {
    full: "#",
    seven_eighths: "#",
    three_quarters: "%",
    five_eighths: "*",
    half: "+",
    three_eighths: "=",
    one_quarter: "-",
    one_eighth: "_",
    empty: " ",
};
/// Heights of a sparkline's bars: the lowest is still seen.
const BAR: (f64, f64) = (1.0, 7.0);

/// Least lines of what is shown of the selected source.
const DETAIL: usize = 6;

/// What the terminal can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Style {
    pub(super) colours: bool,
    pub(super) unicode: bool,
}

impl Style {
    /// By the environment, as programs agree on it: `NO_COLOR`, `TERM`, and the locale.
    pub(super) fn of_environment() -> Self {
        let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let dumb = text("TERM").is_none_or(|term| term == "dumb");
        let locale = text("LC_ALL").or_else(|| text("LC_CTYPE")).or_else(|| text("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        Self {
            colours: !dumb && text("NO_COLOR").is_none(),
            unicode: locale.contains("utf-8") || locale.contains("utf8"),
        }
    }

    /// The same without colours.
    pub(super) const fn plain(self) -> Self {
        Self { colours: false, ..self }
    }

    /// Attributes with a colour, where there are colours.
    pub(super) fn colour(self, colour: Color) -> Attributes {
        if self.colours { Attributes::default().fg(colour) } else { Attributes::default() }
    }
}

/// Whether a line of a list is the selected one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    Selected,
    None,
}

impl Mark {
    /// That of the line `index`.
    pub(super) const fn of(index: usize, selected: usize) -> Self {
        if index == selected { Self::Selected } else { Self::None }
    }

    pub(super) const fn letter(self) -> char {
        match self {
            Self::Selected => '>',
            Self::None => ' ',
        }
    }

    pub(super) fn attributes(self, usual: Attributes) -> Attributes {
        match self {
            Self::Selected => usual.add_modifier(Modifier::REVERSED),
            Self::None => usual,
        }
    }
}

/// A line in bold.
pub(super) fn bold(text: impl Into<String>) -> Line<'static> {
    Line::styled(text.into(), Attributes::default().add_modifier(Modifier::BOLD))
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, style: Style) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(4), Constraint::Min(3), Constraint::Length(1)])
            .areas(frame.area());
    frame.render_widget(Paragraph::new(heading(state, style, head.width)), head);
    match state.page {
        Page::Sources => sources(frame, body, state, style),
        Page::Clients => clients::draw(frame, body, state, style),
        Page::Help => frame.render_widget(Paragraph::new(HELP), body),
    }
    let keys = " Tab page   Up Down select   ? help   q quit";
    frame.render_widget(Paragraph::new(keys).style(Attributes::default().add_modifier(Modifier::DIM)), foot);
}

fn heading(state: &State, style: Style, width: u16) -> Vec<Line<'static>> {
    let mark = |page, name: &str| {
        if state.page == page { format!("[{name}]") } else { format!(" {name} ") }
    };
    let pages = format!("{} {}", mark(Page::Sources, "Sources"), mark(Page::Clients, "Clients"));
    let left = format!(" rsntpq watch  {}", state.host);
    let gap = usize::from(width).saturating_sub(left.chars().count() + pages.len() + 1).max(1);
    let title = Line::styled(
        format!("{left}{}{pages} ", " ".repeat(gap)),
        Attributes::default().add_modifier(Modifier::REVERSED),
    );
    let mut lines = vec![title];
    if let Some(answers) = &state.answers {
        let list = &answers.system;
        let number = |name: &str| list.number(name).map_or_else(|| "?".to_owned(), |n| format!("{n:+.3}"));
        let size = |name: &str| list.number(name).map_or_else(|| "?".to_owned(), |n| format!("{n:.3}"));
        let synchronised = answers.status.leap() != 3;
        let (word, colour) =
            if synchronised { ("synchronised", Color::Green) } else { ("NOT SYNCHRONISED", Color::Red) };
        lines.push(Line::from(vec![
            Span::raw(" "),
            Span::styled(word, style.colour(colour).add_modifier(Modifier::BOLD)),
            Span::raw(format!(
                " to {}, stratum {}  offset {} ms  freq {} ppm",
                refid(list.get("refid").unwrap_or("?")),
                list.get("stratum").unwrap_or("?"),
                number("offset"),
                number("frequency"),
            )),
        ]));
        let uptime = answers.uptime.map(|seconds| format!("   up {}", long(seconds))).unwrap_or_default();
        lines.push(Line::raw(format!(
            " jitter {} ms   root delay {}   root dispersion {}{uptime}",
            size("sys_jitter"),
            size("rootdelay"),
            size("rootdisp"),
        )));
    } else {
        lines.push(Line::raw(" querying ..."));
        lines.push(Line::raw(""));
    }
    lines.push(match (&state.trouble, &state.answers) {
        (Some(why), _) => {
            let age = state.age().map(|age| format!(" (data below is {age} s old)")).unwrap_or_default();
            let why = why.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches('*');
            Line::styled(format!(" {why}{age}"), style.colour(Color::Red).add_modifier(Modifier::BOLD))
        }
        (None, Some(answers)) => {
            let version = answers.system.get("version").map_or("", unquoted);
            Line::styled(format!(" {version}"), Attributes::default().add_modifier(Modifier::DIM))
        }
        (None, None) => Line::raw(""),
    });
    lines
}

/// 1 d 02:03:04.
pub(super) fn long(seconds: f64) -> String {
    let all = seconds.max(0.0) as u64;
    let days = all / DAY as u64;
    let days = if days > 0 { format!("{days} d ") } else { String::new() };
    format!("{days}{:02}:{:02}:{:02}", all / 3600 % 24, all / 60 % 60, all % 60)
}

/// The rows of a list that are seen, so that the selected one is among them.
pub(super) fn window(length: usize, selected: usize, height: usize) -> std::ops::Range<usize> {
    let start = selected.saturating_sub(height.saturating_sub(1));
    start..length.min(start + height)
}

fn sources(frame: &mut Frame<'_>, area: Rect, state: &State, style: Style) {
    let Some(answers) = &state.answers else { return };
    let selected = answers.rows.get(state.selected[0]);
    let described = selected.map(|row| described(row, state.age().unwrap_or(0), area.width.into()));
    let height = described.as_ref().map_or(0, Vec::len).max(DETAIL) as u16;
    let [list, detail] = Layout::vertical([Constraint::Min(2), Constraint::Length(height)]).areas(area);
    let authenticated =
        answers.rows.iter().any(|row| Authentication::of(&row.source) != Authentication::None);
    let head = if authenticated { format!("{HEAD}{HEAD_AUTHENTICATION}") } else { HEAD.to_owned() };
    frame.render_widget(Paragraph::new(bold(format!("{head}history"))), Rect { height: 1, ..list });
    let seen = window(answers.rows.len(), state.selected[0], usize::from(list.height.saturating_sub(1)));
    let (first, age) = (seen.start, state.age().unwrap_or(0));
    for (index, row) in answers.rows.iter().enumerate().take(seen.end).skip(first) {
        let line = Rect { y: list.y + 1 + (index - first) as u16, height: 1, ..list };
        let mark = Mark::of(index, state.selected[0]);
        let mut cells = cells(row, mark, age, style);
        if authenticated {
            cells.push_span(authentication_cell(row, mark, style));
        }
        frame.render_widget(Paragraph::new(cells), line);
        let used = (head.len() as u16).min(line.width);
        let chart = Rect { x: line.x + used, width: line.width - used, ..line };
        sparkline(frame, chart, state, row, style);
    }
    if let Some(lines) = described {
        frame.render_widget(Paragraph::new(lines), detail);
    }
}

/// What stands below [`HEAD_AUTHENTICATION`].
fn authentication_cell(row: &Row, mark: Mark, style: Style) -> Span<'static> {
    let found = Authentication::of(&row.source);
    let colour = found.colour().map_or_else(Attributes::default, |colour| style.colour(colour));
    Span::styled(format!("{:<4} ", found.mark()), mark.attributes(colour))
}

fn cells(row: &Row, mark: Mark, age: u64, style: Style) -> Line<'static> {
    let source = &row.source;
    let colour = match source.listed.status.tally() {
        '*' | 'o' => style.colour(Color::Green),
        '+' | '#' => style.colour(Color::Cyan),
        'x' => style.colour(Color::Red),
        _ => Attributes::default(),
    };
    let attributes = mark.attributes(colour);
    let age = i64::try_from(age).unwrap_or(0);
    let next = row.next.map_or_else(|| "-".to_owned(), |next| (next - age).max(0).to_string());
    let name: String = row.name.chars().take(15).collect();
    Line::styled(
        format!(
            "{}{} {name:<15} {:2} {:>4} {next:>4} {} {:>8} {:>7} {:>7} ",
            mark.letter(),
            source.listed.status.tally(),
            source.stratum,
            cut(&interval(source.poll), 4),
            bits(source.reach),
            millis(source.offset),
            millis(source.delay),
            millis(source.jitter.or(source.dispersion).unwrap_or(0.0)),
        ),
        attributes,
    )
}

/// The last eight polls, the oldest first: `#` got a response.
fn bits(reach: u8) -> String {
    (0..8).rev().map(|bit| if reach >> bit & 1 == 1 { '#' } else { '.' }).collect()
}

/// Offsets as bars between their least and their greatest.
fn sparkline(frame: &mut Frame<'_>, area: Rect, state: &State, row: &Row, style: Style) {
    let Some(history) = state.history.get(&row.source.listed.id) else { return };
    let recent: Vec<f64> =
        history.iter().rev().take(usize::from(area.width)).rev().copied().filter(|v| v.is_finite()).collect();
    let (least, most) = recent.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    let height = |value: f64| {
        let share = if most > least { (value - least) / (most - least) } else { 0.5 };
        (BAR.0 + share * (BAR.1 - BAR.0)).round() as u64
    };
    let set = if style.unicode { bar::NINE_LEVELS } else { ASCII };
    let bars = recent.into_iter().map(height).collect::<Vec<u64>>();
    frame.render_widget(Sparkline::default().data(bars).max(8).bar_set(set), area);
}

/// What the tally code says about this source.
const fn meaning(selection: u16) -> &'static str {
    match selection {
        1 => "contradicts the majority of the sources",
        2 => "not needed, there are enough better sources",
        3 => "discarded by the clustering algorithm",
        4 => "combined into the system time",
        5 => "used if better sources fail",
        6 => "system peer, the clock is synchronized to it",
        7 => "PPS peer, the clock is synchronized to its pulses",
        _ => "not used, see the flags",
    }
}

/// What kind of association it is, by its letter in column `t`, and what selection made of it if it can be a source.
fn kind(letter: char, status: PeerStatus) -> String {
    match letter {
        'p' => "pool: its servers have rows of their own".to_owned(),
        'a' => "manycast client: the servers that it found have rows of their own".to_owned(),
        'B' => "broadcast server: sends the time to a network".to_owned(),
        'M' => "multicast server: sends the time to a group".to_owned(),
        _ => {
            let kind = match letter {
                's' => "active peer, ",
                'S' => "passive peer, ",
                'b' => "broadcast client, ",
                'l' => "reference clock, ",
                _ => "",
            };
            format!("{kind}{}: {}", status.condition(), meaning(status.selection()))
        }
    }
}

fn described(row: &Row, age: u64, width: usize) -> Vec<Line<'static>> {
    let source = &row.source;
    let status = source.listed.status;
    let address = source.address.map_or_else(|| "?".to_owned(), |address| address.to_string());
    let flags = source.list.integer("flash").and_then(|bits| u64::try_from(bits).ok()).unwrap_or(0);
    let flags = if flags == 0 { "none".to_owned() } else { flash::names(flags).join(" ") };
    let dispersion = source.dispersion.map_or_else(|| "?".to_owned(), |ms| format!("{ms:.3} ms"));
    let age = i64::try_from(age).unwrap_or(0);
    let heard = row
        .when
        .map_or_else(|| "no response yet".to_owned(), |when| format!("last response {} s ago", when + age));
    let mut lines = vec![
        Line::raw(""),
        bold(format!(" {}  {address}  {heard}", row.name)),
        Line::raw(format!(" {}", kind(source.kind, status))),
        Line::raw(format!(
            " refid {}   dispersion {dispersion}   authentication {}   association {}",
            refid(&source.refid),
            status.authentication(),
            source.listed.id,
        )),
        Line::raw(format!(
            " flags: {flags}   last event: {} ({})",
            status.event_name(),
            status.event_count()
        )),
    ];
    lines.extend(authentication::described(source, width).into_iter().map(Line::raw));
    lines
}

const HELP: &str = "
 tally          * system peer, + candidate, # backup, - outlier, x falseticker,
                . excess, space reject, o PPS peer
 st             stratum, 16: not synchronised
 poll next      poll interval, and time to the next poll, in seconds
 reach          the last eight polls, newest at the right: # response received
 offset delay   offset of the source, and round-trip delay, in milliseconds
 jitter         variation of the offset, in milliseconds
 auth           NTS, key: how it is authenticated; NTS? no response yet,
                NTS! trouble with the keys, see below the list
 history        the last offsets, scaled from minimum to maximum

 Clients        clients of this server, most recent first; below the list,
                the restrictions of the selected client, and the restrict line
                that applies (needs the control key: -a KEY)

 Press any key to return.";

#[cfg(test)]
mod tests {
    use super::super::state::tests::{news, row};
    use super::*;
    use crate::tools::link::Trouble;
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    const PLAIN: Style = Style { colours: false, unicode: false };

    pub(super) fn picture(state: &State, style: Style, width: u16, height: u16) -> Vec<String> {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| draw(frame, state, style)).unwrap();
        let buffer = terminal.backend().buffer();
        let symbol = |x, y| buffer.cell((x, y)).unwrap().symbol();
        let line = |y| (0..width).map(|x| symbol(x, y)).collect::<String>().trim_end().to_owned();
        (0..height).map(line).collect()
    }

    #[test]
    fn the_kind_of_an_association_is_shown() {
        let of = |letter| kind(letter, PeerStatus(0x961a));
        assert_eq!(of('u'), "sys.peer: system peer, the clock is synchronized to it");
        assert_eq!(of('S'), "passive peer, sys.peer: system peer, the clock is synchronized to it");
        assert_eq!(kind('p', PeerStatus(0x8811)), "pool: its servers have rows of their own");
    }

    fn state() -> State {
        let mut state = State::new("192.0.2.9");
        for (rec, offset) in [(1, 1.0), (2, 3.0), (3, -1.0)] {
            let list = format!(
                "srcadr=192.0.2.1, stratum=1, refid=GPS, hmode=3, hpoll=6, reach=0x7, delay=12.5, \
                 jitter=0.25, dispersion=1.5, flash=0x0, rec=0xeead8c5{rec}.00000000, offset={offset}"
            );
            let bad = row(8, 0x801a, "srcadr=2001:db8::1, refid=INIT, stratum=16, reach=0, flash=0x1600");
            state.take(news(vec![row(7, 0x961a, &list), bad]));
        }
        state
    }

    #[test]
    fn eighty_columns_and_twenty_four_lines_are_enough() {
        let lines = picture(&state(), PLAIN, 80, 24);
        let expected = [
            " rsntpq watch  192.0.2.9                                    [Sources]  Clients",
            " synchronised to 192.0.2.1, stratum 2  offset -0.250 ms  freq +12.500 ppm",
            " jitter 0.100 ms   root delay 1.500   root dispersion 2.250   up 1 d 02:03:04",
            " rsntpd 0.1.0",
            "   remote          st poll next reach      offset   delay  jitter history",
            ">* ntp7.example.ne  1   64    5 .....###   -1.000  12.500   0.250 +#_",
            "   ntp8.example.ne 16  36h    5 ........    0.000   0.000   0.000",
        ];
        for (line, expected) in lines.iter().zip(expected) {
            assert_eq!(line, expected);
        }
        assert_eq!(lines[18], " ntp7.example.net  192.0.2.1  last response 3 s ago");
        assert_eq!(lines[19], " sys.peer: system peer, the clock is synchronized to it");
        assert_eq!(lines[23], " Tab page   Up Down select   ? help   q quit");
    }

    #[test]
    fn sources_with_nts_have_a_mark_and_their_trouble() {
        let mut state = State::new("192.0.2.9");
        let good = "srcadr=192.0.2.1, hmode=3, reach=0x7, ntscookies=8, ntsaead=\"AES_128_GCM_SIV\", ntske_age=60, \
                    ntske_attempts=0, ntsnak=0";
        let bad = "srcadr=0.0.0.0, hmode=3, refid=NTS, reach=0, ntscookies=0, ntske_attempts=3, ntsnak=0, \
                   ntske_error=\"certificate of ke.test has expired, it was valid until 2021-01-01 00:00:00 UTC\"";
        let rows = vec![row(7, 0xf63a, good), row(8, 0xc01a, bad), row(9, 0x941a, "reach=1")];
        state.take(news(rows));
        let lines = picture(&state, PLAIN, 80, 24);
        let expected = [
            "   remote          st poll next reach      offset   delay  jitter auth history",
            ">* ntp7.example.ne  0  36h    5 .....###    0.000   0.000   0.000 NTS  +",
            "   ntp8.example.ne  0  36h    5 ........    0.000   0.000   0.000 NTS!",
            " + ntp9.example.ne  0  36h    5 .......#    0.000   0.000   0.000 -    +",
        ];
        assert_eq!(lines[4..8], expected);
        assert_eq!(lines[22], " NTS: 8 cookies, AES_128_GCM_SIV, keys exchanged 00:01:00 ago");
        state.key(ratatui::termion::event::Key::Down);
        let lines = picture(&state, PLAIN, 80, 24);
        assert_eq!(lines[18], " reject: not used, see the flags");
        assert_eq!(lines[21], " NTS: key exchange failed: certificate of ke.test has expired, it was valid");
        assert_eq!(lines[22], "      until 2021-01-01 00:00:00 UTC");
    }

    #[test]
    fn no_size_is_too_small() {
        let mut state = state();
        for (width, height) in [(1, 1), (10, 3), (79, 5), (200, 60)] {
            for page in [Page::Sources, Page::Clients, Page::Help] {
                state.page = page;
                picture(&state, Style { colours: true, unicode: true }, width, height);
            }
        }
    }

    #[test]
    fn silence_is_told_and_the_old_answers_stay() {
        let mut state = state();
        let trouble = Err(Trouble::Silent { host: "here".to_owned(), partial: false });
        state.take(super::super::state::News {
            at: std::time::Instant::now(),
            answers: trouble,
            clients: None,
        });
        let lines = picture(&state, PLAIN, 80, 24);
        assert_eq!(lines[3], " Request timed out (data below is 0 s old)");
        assert!(lines[5].starts_with(">* ntp7"));
    }

    #[test]
    fn the_selected_row_is_in_the_window() {
        assert_eq!((window(3, 0, 10), window(30, 0, 10), window(30, 15, 10)), (0..3, 0..10, 6..16));
        assert_eq!(window(0, 0, 0), 0..0);
    }
}
