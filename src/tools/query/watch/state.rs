//! The state of `watch`: the last responses, a history of offsets, the selection.

use super::explain::Entry;
use crate::tools::link::Trouble;
use crate::tools::query::fetch::Source;
use crate::tools::query::mru;
use crate::units::NtpTimestamp;
use crate::wire::status::SystemStatus;
use crate::wire::varlist::VarList;
use ratatui::termion::event::Key;
use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

/// Offsets remembered of a source.
const HISTORY: usize = 240;
/// Rows by which a page is turned.
const PAGE: usize = 10;

/// A source with what `watch` shows besides.
pub(super) struct Row {
    pub(super) name: String,
    pub(super) source: Source,
    /// Seconds since it was heard.
    pub(super) when: Option<i64>,
    /// Seconds to the next poll.
    pub(super) next: Option<i64>,
}

/// A client of the server.
pub(super) struct Client {
    pub(super) address: String,
    pub(super) port: u16,
    pub(super) packets: i64,
    /// Seconds.
    pub(super) last: f64,
    /// Seconds between packets.
    pub(super) average: f64,
    pub(super) mode: i64,
    pub(super) version: i64,
    /// The restrictions that applied, as bits.
    pub(super) restrictions: i64,
}

impl Client {
    /// From an entry of the server's table.
    pub(super) fn new(entry: &mru::Entry, now: NtpTimestamp) -> Self {
        let (address, port) = entry.host();
        Self {
            address,
            port,
            packets: entry.count,
            last: entry.age(now),
            average: entry.average(),
            mode: entry.mode_version & 7,
            version: entry.mode_version >> 3 & 7,
            restrictions: entry.restrictions,
        }
    }
}

/// What a round of questions brought.
pub(super) struct Answers {
    pub(super) status: SystemStatus,
    pub(super) system: VarList,
    /// Seconds.
    pub(super) uptime: Option<f64>,
    pub(super) rows: Vec<Row>,
}

/// The clients, whether the list is complete, and the access list if the server sent it.
pub(super) type Clients = (Vec<Client>, bool, Option<Vec<Entry>>);

/// A round's end.
pub(super) struct News {
    pub(super) at: Instant,
    pub(super) answers: Result<Answers, Trouble>,
    pub(super) clients: Option<Result<Clients, Trouble>>,
}

/// The pages.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Page {
    Sources,
    Clients,
    Help,
}

/// Everything that is drawn.
pub(super) struct State {
    pub(super) host: String,
    pub(super) page: Page,
    pub(super) answers: Option<Answers>,
    /// When they came.
    pub(super) answered: Option<Instant>,
    /// Why the last round brought nothing.
    pub(super) trouble: Option<Trouble>,
    pub(super) clients: Option<Result<Clients, Trouble>>,
    /// Offsets in milliseconds by association, the newest last.
    pub(super) history: BTreeMap<u16, VecDeque<f64>>,
    heard: BTreeMap<u16, NtpTimestamp>,
    /// Of the page of sources, and of clients.
    pub(super) selected: [usize; 2],
}

impl State {
    /// Nothing is known yet.
    pub(super) fn new(host: &str) -> Self {
        Self {
            host: host.to_owned(),
            page: Page::Sources,
            answers: None,
            answered: None,
            trouble: None,
            clients: None,
            history: BTreeMap::new(),
            heard: BTreeMap::new(),
            selected: [0, 0],
        }
    }

    pub(super) fn shows_clients(&self) -> bool {
        self.page == Page::Clients
    }

    /// Takes in the result of a round. Old data stays while there is no response: its age is shown.
    pub(super) fn take(&mut self, news: News) {
        match news.answers {
            Ok(answers) => {
                self.remember(&answers.rows);
                self.answers = Some(answers);
                self.answered = Some(news.at);
                self.trouble = None;
            }
            Err(why) => self.trouble = Some(why),
        }
        if news.clients.is_some() {
            self.clients = news.clients;
        }
        self.hold_selection();
    }

    /// An offset is remembered once for each response of its source.
    fn remember(&mut self, rows: &[Row]) {
        let there = |id: &u16| rows.iter().any(|row| row.source.listed.id == *id);
        self.history.retain(|id, _| there(id));
        self.heard.retain(|id, _| there(id));
        for Row { source, .. } in rows {
            let id = source.listed.id;
            let known = self.heard.insert(id, source.heard);
            if source.reach == 0 || known == Some(source.heard) {
                continue;
            }
            let offsets = self.history.entry(id).or_default();
            offsets.push_back(source.offset);
            if offsets.len() > HISTORY {
                offsets.pop_front();
            }
        }
    }

    fn lengths(&self) -> [usize; 2] {
        let sources = self.answers.as_ref().map_or(0, |answers| answers.rows.len());
        let clients = match &self.clients {
            Some(Ok((clients, ..))) => clients.len(),
            _ => 0,
        };
        [sources, clients]
    }

    fn hold_selection(&mut self) {
        let lengths = self.lengths();
        for (selected, length) in self.selected.iter_mut().zip(lengths) {
            *selected = (*selected).min(length.saturating_sub(1));
        }
    }

    /// Takes in a key that does not leave.
    pub(super) fn key(&mut self, key: Key) {
        let index = usize::from(self.page == Page::Clients);
        let selected = &mut self.selected[index];
        match key {
            Key::Char('?' | 'h') => self.page = Page::Help,
            _ if self.page == Page::Help => self.page = Page::Sources,
            Key::Char('\t') | Key::BackTab | Key::Left | Key::Right => {
                self.page = if self.page == Page::Clients { Page::Sources } else { Page::Clients };
            }
            Key::Char('s' | '1') => self.page = Page::Sources,
            Key::Char('c' | '2') => self.page = Page::Clients,
            Key::Up | Key::Char('k') => *selected = selected.saturating_sub(1),
            Key::Down | Key::Char('j') => *selected = selected.saturating_add(1),
            Key::PageUp => *selected = selected.saturating_sub(PAGE),
            Key::PageDown => *selected = selected.saturating_add(PAGE),
            Key::Home => *selected = 0,
            Key::End => *selected = usize::MAX,
            _ => {}
        }
        self.hold_selection();
    }

    /// Whole seconds since the last response.
    pub(super) fn age(&self) -> Option<u64> {
        self.answered.map(|at| at.elapsed().as_secs())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::tools::query::fetch::Listed;
    use crate::wire::status::PeerStatus;

    pub(crate) fn row(id: u16, status: u16, list: &str) -> Row {
        let source = Source::new(Listed { id, status: PeerStatus(status) }, VarList::parse(list.as_bytes()));
        Row { name: format!("ntp{id}.example.net"), source, when: Some(3), next: Some(5) }
    }

    pub(crate) fn news(rows: Vec<Row>) -> News {
        let system = "version=\"rsntpd 0.1.0\", stratum=2, offset=-0.25, frequency=12.5, sys_jitter=0.1, \
                      rootdelay=1.5, rootdisp=2.25, refid=192.0.2.1, tc=6";
        let system = VarList::parse(system.as_bytes());
        let answers = Answers { status: SystemStatus(0x0615), system, uptime: Some(93_784.0), rows };
        News { at: Instant::now(), answers: Ok(answers), clients: None }
    }

    #[test]
    fn each_answer_is_remembered_once() {
        let mut state = State::new("here");
        for (rec, offset) in [(1, 1.0), (1, 1.0), (2, 3.0)] {
            let list = format!("srcadr=192.0.2.1, reach=0x1, rec=0xeead8c5{rec}.00000000, offset={offset}");
            state.take(news(vec![row(7, 0x961a, &list)]));
        }
        assert_eq!(state.history[&7], [1.0, 3.0]);
        state.take(news(Vec::new()));
        assert!(state.history.is_empty());
        state.take(News { at: Instant::now(), answers: Err(Trouble::Refused), clients: None });
        assert!(state.answers.is_some() && matches!(state.trouble, Some(Trouble::Refused)));
    }

    #[test]
    fn keys_turn_pages_and_stay_in_the_list() {
        let mut state = State::new("here");
        state.take(news(vec![row(1, 0x961a, "reach=1"), row(2, 0x941a, "reach=1")]));
        for key in [Key::Down, Key::Down, Key::PageDown] {
            state.key(key);
        }
        assert_eq!(state.selected, [1, 0]);
        state.key(Key::Char('\t'));
        state.key(Key::End);
        assert_eq!((state.page, state.selected), (Page::Clients, [1, 0]));
        state.key(Key::Char('?'));
        state.key(Key::Char(' '));
        state.key(Key::Up);
        assert_eq!((state.page, state.selected), (Page::Sources, [0, 0]));
    }
}
