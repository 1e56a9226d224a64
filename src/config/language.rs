//! The keywords of ntp.conf, one row each: what a keyword takes, where it may stand, what becomes of it.
//!
//! The scanner, the parser, the diagnostics, `--help-config` and the manual page rsntp.conf(5) all
//! read these rows: what is not here is unknown, and what is here is documented.

mod commands;
mod effect;
mod foreign;
pub mod help;
mod nts;
mod options;
mod settings;

pub(super) use self::effect::{Effect, Note};

/// What a keyword takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// Nothing: it is a flag.
    Nothing,
    /// A whole number.
    Integer,
    /// A number, with or without a fraction.
    Number,
    /// As a number; each `g` or `G` behind it adds an era of GPS.
    Correction,
    /// `0`, `1` or `true`.
    Boolean,
    /// One of the tokens of the label.
    Choice(&'static str),
    /// Names of algorithms of NTS, with colons or commas between them.
    Algorithms,
    /// One token, of any characters; the label says what it stands for.
    Text(&'static str),
    /// One token that is no keyword, unless in quotes.
    Token(&'static str),
    /// Tokens of any characters, to the end of the line.
    Texts(&'static str),
    /// What the label shows, in keywords.
    Keywords(&'static str),
    /// What the label shows; its first token is of any characters.
    TextAndKeywords(&'static str),
}

/// How the tokens behind a keyword are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Follow {
    /// As what they are.
    Normal,
    /// The next one is a string.
    OneString,
    /// All to the end of the line are strings.
    AllStrings,
}

/// What becomes of a known keyword.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It does what it says.
    Honoured,
    /// It is accepted and changes nothing, which is harmless; why.
    Idle(&'static str),
    /// It is accepted and what it switches on is not there; why.
    Missing(&'static str),
    /// It is refused; why, and what to do instead.
    Refused(&'static str),
    /// What becomes of its command becomes of it.
    AsItsCommand,
}

/// Which program knows a keyword first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Since {
    /// ntpd 4.2.6.
    V426,
    /// ntpd 4.2.8.
    V428,
    /// ntpd 4.2.8 from the named patch level on.
    V428P(u8),
    /// NTPsec's ntpd.
    NtpSec,
    /// No other program.
    Ours,
    /// Another program, or an ntpd of old: never a keyword here.
    Foreign(&'static str),
}

/// What is done with a number that is out of range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beyond {
    /// The nearest value in range is used.
    Held,
    /// The keyword is ignored.
    Ignored,
    /// The line is ignored: another value would be another thing.
    Refused,
}

/// Where a keyword may stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Context {
    /// At the beginning of a line.
    Command,
    /// Behind the address of `server`, `pool`, `peer`, `broadcast` and `manycastclient`.
    Association,
    /// Behind the address of `server` and the driver of `refclock`, where they are about a clock.
    Clock,
    /// Behind the driver of `refclock`.
    Refclock,
    /// Behind the clock of `fudge`.
    Fudge,
    /// Behind `restrict`, instead of an address.
    RestrictTarget,
    /// Behind the address of `restrict`.
    Restrict,
    /// Behind `nts`.
    Nts,
    /// Behind `tos`.
    Tos,
    /// Behind `tinker`.
    Tinker,
    /// Behind `discard`.
    Discard,
    /// Behind `mru`.
    Mru,
    /// Behind `rlimit`.
    Rlimit,
    /// Behind `enable` and `disable`.
    Switch,
    /// Behind `statistics` and `filegen`.
    Statistics,
    /// Behind the kind of `filegen`.
    Filegen,
    /// Behind `type` of `filegen`.
    FilegenType,
    /// Behind `interface` and `nic`.
    InterfaceAction,
    /// Behind the action of `interface`.
    InterfaceMatch,
    /// Behind `crypto`.
    Crypto,
    /// Behind the address of `trap`.
    Trap,
    /// Behind `reset`.
    Reset,
    /// Behind the value of `setvar`.
    Setvar,
    /// Between the first and the last key of a range of `trustedkey`.
    KeyRange,
    /// At the beginning of a line, for people who come from elsewhere.
    Foreign,
}

impl Context {
    /// Where such a keyword stands, as text.
    #[must_use]
    pub const fn place(self) -> &'static str {
        match self {
            Self::Command => "a command",
            Self::Association => "an option of server, pool, peer, broadcast and manycastclient",
            Self::Clock => "an option of reference clocks, behind server and refclock",
            Self::Refclock => "an option of refclock",
            Self::Fudge => "a factor of fudge",
            Self::RestrictTarget => "a keyword after restrict",
            Self::Restrict => "a flag of restrict",
            Self::Nts => "a setting of nts",
            Self::Tos => "a setting of tos",
            Self::Tinker => "a setting of tinker",
            Self::Discard => "a setting of discard",
            Self::Mru => "a setting of mru",
            Self::Rlimit => "a setting of rlimit",
            Self::Switch => "a switch of enable and disable",
            Self::Statistics => "a kind of statistics and filegen",
            Self::Filegen => "an option of filegen",
            Self::FilegenType => "a type of filegen",
            Self::InterfaceAction => "an action of interface",
            Self::InterfaceMatch => "what an interface rule matches",
            Self::Crypto => "an option of crypto",
            Self::Trap => "an option of trap",
            Self::Reset => "a keyword after reset",
            Self::Setvar => "an option of setvar",
            Self::KeyRange => "a part of a key range",
            Self::Foreign => "a directive of another program",
        }
    }
}

/// A keyword.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The keyword.
    pub name: &'static str,
    /// What it takes.
    pub takes: Takes,
    /// Smallest and largest value, where there are any.
    pub range: Option<(f64, f64)>,
    /// What happens to a value out of `range`.
    pub beyond: Beyond,
    /// A number that says the same as nothing.
    pub absent: Option<f64>,
    /// What holds without it; empty where nothing does.
    pub default: &'static str,
    /// The unit of its number; empty where there is none.
    pub unit: &'static str,
    /// What becomes of it.
    pub standing: Standing,
    /// Which program knows it first.
    pub since: Since,
    /// What it is for, in one line.
    pub help: &'static str,
    /// What it does.
    pub(super) effect: Effect,
    /// What may stand behind the first argument of a command.
    pub(super) options: &'static [Context],
    /// Whether the last line of a command is remembered, so that a fault of the file it names is reported there.
    pub(super) marked: bool,
    /// Whether a running daemon refuses it: what it names would be read or overwritten by whoever holds the
    /// control key, not by who holds the machine.
    pub(super) at_start_only: bool,
}

/// A row of ntpd 4.2.6 that is honoured; the methods below change that.
const fn row(name: &'static str, takes: Takes, help: &'static str) -> Row {
    Row {
        name,
        takes,
        range: None,
        beyond: Beyond::Held,
        absent: None,
        default: "",
        unit: "",
        standing: Standing::Honoured,
        since: Since::V426,
        help,
        effect: Effect::None,
        options: &[],
        marked: false,
        at_start_only: false,
    }
}

impl Row {
    const fn held(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    const fn only(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self.beyond = Beyond::Ignored;
        self
    }

    const fn refusing(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self.beyond = Beyond::Refused;
        self
    }

    const fn absent(mut self, number: f64) -> Self {
        self.absent = Some(number);
        self
    }

    const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn since(mut self, since: Since) -> Self {
        self.since = since;
        self
    }

    const fn idle(mut self, why: &'static str) -> Self {
        self.standing = Standing::Idle(why);
        self
    }

    const fn missing(mut self, why: &'static str) -> Self {
        self.standing = Standing::Missing(why);
        self
    }

    const fn as_its_command(mut self) -> Self {
        self.standing = Standing::AsItsCommand;
        self
    }

    const fn refused(mut self, why: &'static str) -> Self {
        self.standing = Standing::Refused(why);
        self
    }

    /// How the next token is read.
    pub(super) const fn follow(&self) -> Follow {
        match self.takes {
            Takes::Text(_) | Takes::TextAndKeywords(_) => Follow::OneString,
            Takes::Texts(_) => Follow::AllStrings,
            _ => Follow::Normal,
        }
    }

    /// What it takes, as a manual page shows it; empty for a flag.
    #[must_use]
    pub const fn argument(&self) -> &'static str {
        match self.takes {
            Takes::Nothing => "",
            Takes::Integer => "INTEGER",
            Takes::Number => "NUMBER",
            Takes::Correction => "NUMBER[g | G]",
            Takes::Boolean => "0 | 1",
            Takes::Algorithms => "NAME[:NAME ...]",
            Takes::Choice(label)
            | Takes::Text(label)
            | Takes::Token(label)
            | Takes::Texts(label)
            | Takes::Keywords(label)
            | Takes::TextAndKeywords(label) => label,
        }
    }

    /// What would be right behind it, as text.
    #[must_use]
    pub fn expects(&self) -> String {
        let mut text = match self.takes {
            Takes::Nothing => "nothing".to_owned(),
            Takes::Integer => "a whole number".to_owned(),
            Takes::Number | Takes::Correction => "a number".to_owned(),
            Takes::Boolean => "0 or 1".to_owned(),
            _ => self.argument().to_owned(),
        };
        if let Some((low, high)) = self.range.filter(|_| self.takes != Takes::Boolean) {
            text += &match high {
                h if h >= LARGE => format!(" from {low}"),
                _ => format!(" from {low} to {high}"),
            };
        }
        if !self.unit.is_empty() {
            text += &format!(", {}", self.unit);
        }
        text
    }
}

/// A limit that is there only because numbers end somewhere; it is not worth reporting.
const LARGE: f64 = 1e9;

/// Letters of what may be meant to be a keyword.
const LONGEST: usize = 40;

/// Every context with its keywords, in the order of the manual.
pub const TABLE: [(Context, &[Row]); 25] = [
    (Context::Command, commands::COMMANDS),
    (Context::Association, options::ASSOCIATION),
    (Context::Clock, options::CLOCK),
    (Context::Refclock, options::REFCLOCK),
    (Context::Fudge, options::FUDGE),
    (Context::RestrictTarget, options::RESTRICT_TARGET),
    (Context::Restrict, options::RESTRICT),
    (Context::Discard, settings::DISCARD),
    (Context::Mru, settings::MRU),
    (Context::Nts, nts::NTS),
    (Context::Tos, settings::TOS),
    (Context::Tinker, settings::TINKER),
    (Context::Switch, settings::SWITCHES),
    (Context::Rlimit, settings::RLIMIT),
    (Context::Statistics, settings::STATISTICS),
    (Context::Filegen, settings::FILEGEN),
    (Context::FilegenType, settings::FILEGEN_TYPE),
    (Context::InterfaceAction, options::INTERFACE_ACTION),
    (Context::InterfaceMatch, options::INTERFACE_MATCH),
    (Context::Crypto, options::CRYPTO),
    (Context::Trap, options::TRAP),
    (Context::Reset, options::RESET),
    (Context::Setvar, options::SETVAR),
    (Context::KeyRange, options::KEY_RANGE),
    (Context::Foreign, foreign::FOREIGN),
];

/// The keywords that may stand there.
#[must_use]
pub fn rows(context: Context) -> &'static [Row] {
    TABLE.iter().find(|(c, _)| *c == context).map_or(&[], |(_, rows)| rows)
}

/// The names of the keywords that may stand there.
pub(super) fn names(context: Context) -> Vec<&'static str> {
    rows(context).iter().map(|row| row.name).collect()
}

/// The keyword of that name that may stand there.
#[must_use]
pub fn find(context: Context, name: &str) -> Option<&'static Row> {
    rows(context).iter().find(|row| row.name == name)
}

/// The keyword of that place with this effect.
pub(super) fn name_of(context: Context, has: impl Fn(Effect) -> bool) -> &'static str {
    rows(context).iter().find(|row| has(row.effect)).map_or("", |row| row.name)
}

/// Which one of the keywords that may stand there it is; those that may not come last.
pub(super) fn rank(context: Context, name: &str) -> usize {
    let rows = rows(context);
    rows.iter().position(|row| row.name == name).unwrap_or(rows.len())
}

/// Every row of that name, with its context.
pub fn everywhere(name: &str) -> impl Iterator<Item = (Context, &'static Row)> {
    TABLE.iter().flat_map(move |(context, rows)| {
        rows.iter().filter(move |row| row.name == name).map(move |row| (*context, row))
    })
}

/// What may stand behind the first argument of a command.
#[must_use]
pub fn options_of(command: &str) -> &'static [Context] {
    find(Context::Command, command).map_or(&[], |row| row.options)
}

/// All rows.
pub fn keywords() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().flat_map(|(_, rows)| rows.iter())
}

/// Rows that are keywords, whoever knows them first.
fn spoken() -> impl Iterator<Item = &'static Row> {
    keywords().filter(|row| !matches!(row.since, Since::Foreign(_)))
}

/// The keywords, to be found fast.
#[derive(Debug)]
pub(super) struct Keywords(Vec<(&'static str, Follow)>);

impl Keywords {
    pub(super) fn new() -> Self {
        let mut keywords: Vec<(&'static str, Follow)> =
            spoken().map(|row| (row.name, row.follow())).collect();
        keywords.sort_unstable_by_key(|(name, _)| *name);
        keywords.dedup_by_key(|(name, _)| *name);
        Self(keywords)
    }

    /// The keyword that is spelt exactly so, and how the tokens behind it are read.
    pub(super) fn find(&self, text: &[u8]) -> Option<(&'static str, Follow)> {
        self.0.binary_search_by_key(&text, |(name, _)| name.as_bytes()).ok().map(|i| self.0[i])
    }
}

/// Whether ntpd 4.2.6 does not know the keyword: where a name is wanted, it may be one.
pub(super) fn is_late(name: &str) -> bool {
    spoken().filter(|row| row.name == name).all(|row| row.since != Since::V426)
}

/// The keyword of `candidates` that was probably meant, if one is near: at most a third of its
/// letters wrong, swapped or missing.
pub(super) fn suggest<'a>(text: &[u8], candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // No typing error is that long, and comparing takes time.
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= LONGEST)?.to_ascii_lowercase();
    candidates
        .map(|c| (strsim::osa_distance(&text, c), c))
        .filter(|(distance, c)| *distance * 3 <= c.len() && *distance <= 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_recognised() {
        let options = ["iburst", "burst", "prefer", "minpoll", "maxpoll", "key"];
        let suggest = |text: &str| suggest(text.as_bytes(), options.into_iter());
        assert_eq!(suggest("perfer"), Some("prefer"));
        assert_eq!(suggest("ibrust"), Some("iburst"));
        assert_eq!(suggest("IBURST"), Some("iburst"));
        assert_eq!(suggest("允许"), None);
        assert_eq!(suggest("x"), None);
    }

    #[test]
    fn each_row_is_whole_and_none_is_there_twice() {
        for (context, rows) in TABLE {
            for (i, row) in rows.iter().enumerate() {
                let name = row.name;
                assert!(!row.help.is_empty() && row.help.len() <= 90, "{context:?} {name}: {}", row.help);
                assert!(!row.help.ends_with('.'), "{context:?} {name}: a line without a full stop");
                assert!(
                    rows[..i].iter().all(|other| other.name != name),
                    "{context:?} {name} is there twice"
                );
                assert!(row.range.is_none_or(|(low, high)| low < high), "{name}");
                let number = matches!(row.takes, Takes::Integer | Takes::Number);
                assert!(row.range.is_none() || number, "{context:?} {name}: a range of what is no number");
                if let Standing::Idle(why) | Standing::Missing(why) | Standing::Refused(why) = row.standing {
                    assert!(!why.is_empty() && !why.ends_with('.'), "{context:?} {name}");
                }
            }
        }
    }

    /// The reader finds a flag by its row, the printer by `AccessFlags`.
    #[test]
    fn flags_have_the_names_that_they_are_printed_by() {
        for row in rows(Context::Restrict) {
            if let Effect::Flag(flag) = row.effect {
                assert!(flag.names().eq([row.name]), "{}", row.name);
            }
        }
    }

    /// A keyword that does what it says has a function that does it.
    #[test]
    fn each_honoured_row_has_an_effect() {
        let read_by_its_command = [Context::RestrictTarget, Context::Setvar, Context::KeyRange];
        for (context, rows) in TABLE.iter().filter(|(context, _)| !read_by_its_command.contains(context)) {
            for row in rows.iter().filter(|row| row.standing == Standing::Honoured) {
                assert!(!matches!(row.effect, Effect::None), "{context:?} {}", row.name);
            }
        }
    }

    /// The file of a command is looked at by name.
    #[test]
    fn commands_with_files_are_marked_and_set_at_the_start() {
        let of = |is: fn(&Row) -> bool| {
            let rows = rows(Context::Command).iter().filter(move |row| is(row));
            let mut names: Vec<&str> = rows.map(|row| row.name).collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(of(|row| row.marked), "controlkey driftfile filegen keys leapfile logfile statsdir");
        assert_eq!(
            of(|row| row.at_start_only),
            "crypto driftfile filegen includefile keys keysdir landlock leapfile logfile ntpsigndsocket nts pidfile \
             saveconfigdir seccomp simulate statsdir"
        );
    }

    /// Every keyword but the commands stands behind some command.
    #[test]
    fn each_context_belongs_to_a_command() {
        for (context, _) in TABLE {
            let of = rows(Context::Command).iter().filter(|row| options_of(row.name).contains(&context));
            let first = matches!(context, Context::Command | Context::Foreign);
            assert_eq!(of.count() == 0, first, "{context:?}");
        }
    }

    /// The scanner knows a keyword before the parser knows where it stands.
    #[test]
    fn a_word_is_followed_alike_wherever_it_stands() {
        for row in spoken() {
            for other in spoken().filter(|other| other.name == row.name) {
                assert_eq!(row.follow(), other.follow(), "{}", row.name);
            }
        }
    }

    #[test]
    fn the_words_of_4_2_6_and_their_followers_are_those_of_its_scanner() {
        let strings = "broadcast driftfile fudge includefile leapfile logfile manycastclient peer pidfile pool \
                       server setvar statsdir trap unconfig unpeer keys keysdir ntpsigndsocket saveconfigdir \
                       host ident pw randfile sign digest file refid abbrev";
        let keywords = Keywords::new();
        for keyword in strings.split_whitespace() {
            assert_eq!(keywords.find(keyword.as_bytes()), Some((keyword, Follow::OneString)));
        }
        for keyword in ["logconfig", "manycastserver", "multicastclient", "phone"] {
            assert_eq!(keywords.find(keyword.as_bytes()), Some((keyword, Follow::AllStrings)));
        }
        let others = spoken().filter(|r| r.since == Since::V426 && r.follow() == Follow::OneString);
        for row in others {
            assert!(strings.split_whitespace().any(|keyword| keyword == row.name), "{}", row.name);
        }
        assert!(is_late("source") && is_late("nts") && !is_late("ttl") && !is_late("ident"));
        assert_eq!(keywords.find(b"Server"), None);
        assert_eq!(keywords.find(b"makestep"), None, "a word of another program is no keyword");
    }
}
