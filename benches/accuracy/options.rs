//! The command line of `make accuracy ARGS="..."`.

use sim::sweep::LAWS;
use std::path::PathBuf;
use std::str::FromStr;

/// What is printed for `--help` and after a mistake.
const USAGE: &str = "\
usage: make accuracy ARGS=\"[SCENARIO...] [OPTION...]\"
  SCENARIO...       rows of the table; without any: all
  --plot DIR        also write SVG charts there
  --worlds          instead: worlds that are not in the table, ours beside plain loops
  --first N         number of the first world (0); those from 240 on have chosen nothing
  --count N         so many worlds (240)
  --world N         only world number N, again and in detail
  --law L           a world of this law of queueing, with:
  --jitter S --wander W --base S --servers N --asymmetry X
  --seeds N         runs of each (table 5, worlds 3)
  --seed N          number of the first seed (0)
  --duration S      length of a run in seconds (100000)";

/// A world put together by hand.
#[derive(Clone, Copy)]
pub(crate) struct Custom {
    pub(crate) law: &'static str,
    pub(crate) jitter: f64,
    pub(crate) wander: f64,
    pub(crate) base: f64,
    pub(crate) servers: usize,
    pub(crate) asymmetry: f64,
}

pub(crate) struct Options {
    pub(crate) names: Vec<String>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) worlds: bool,
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) world: Option<u64>,
    pub(crate) custom: Option<Custom>,
    pub(crate) seeds: Option<u64>,
    pub(crate) seed: u64,
    pub(crate) duration: f64,
}

/// Says what is wrong and ends.
pub(crate) fn fail(message: &str) -> ! {
    eprintln!("accuracy: {message}\n{USAGE}");
    std::process::exit(2)
}

impl Options {
    pub(crate) fn read() -> Self {
        let mut options = Self {
            names: Vec::new(),
            plot: None,
            worlds: false,
            first: 0,
            count: 240,
            world: None,
            custom: None,
            seeds: None,
            seed: 0,
            duration: 100_000.0,
        };
        let mut custom =
            Custom { law: LAWS[0], jitter: 1e-3, wander: 1e-9, base: 0.01, servers: 1, asymmetry: 1.0 };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let word = argument.as_str();
            let mut value = || arguments.next().unwrap_or_else(|| fail(&format!("{word} needs a value")));
            match word {
                // Cargo says so to every bench.
                "--bench" => {}
                "--help" | "-h" => {
                    println!("{USAGE}");
                    std::process::exit(0)
                }
                "--plot" => options.plot = Some(PathBuf::from(value())),
                "--worlds" => options.worlds = true,
                "--first" => options.first = number(word, &value()),
                "--count" => options.count = number(word, &value()),
                "--world" => options.world = Some(number(word, &value())),
                "--seeds" => options.seeds = Some(number::<u64>(word, &value()).max(1)),
                "--seed" => options.seed = number(word, &value()),
                "--duration" => options.duration = number::<f64>(word, &value()).max(4000.0),
                "--law" => custom.law = law(&value()),
                "--jitter" => custom.jitter = number(word, &value()),
                "--wander" => custom.wander = number(word, &value()),
                "--base" => custom.base = number(word, &value()),
                "--servers" => custom.servers = number::<usize>(word, &value()).max(1),
                "--asymmetry" => custom.asymmetry = number(word, &value()),
                _ if word.starts_with('-') => fail(&format!("no such option: {word}")),
                name => options.names.push(name.to_owned()),
            }
            if ["--law", "--jitter", "--wander", "--base", "--servers", "--asymmetry"].contains(&word) {
                options.custom = Some(custom);
            }
        }
        options
    }

    /// The seeds to run; `usual` of them unless said otherwise.
    pub(crate) fn seeds(&self, usual: u64) -> Vec<u64> {
        (self.seed..self.seed + self.seeds.unwrap_or(usual)).collect()
    }
}

fn number<T: FromStr>(word: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| fail(&format!("{word} needs a number, not {text}")))
}

fn law(text: &str) -> &'static str {
    LAWS.into_iter().find(|l| *l == text).unwrap_or_else(|| fail(&format!("laws: {}", LAWS.join(" "))))
}
