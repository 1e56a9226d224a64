//! Lines, out of bytes that arrive in pieces.

use std::mem;

/// What has come of the next line.
#[derive(Debug)]
pub(super) struct Lines {
    rest: Vec<u8>,
    longest: usize,
}

impl Lines {
    /// Lines longer than `longest` are cut off one byte later: their reader sees that they are too long, and they take no memory.
    pub(super) const fn new(longest: usize) -> Self {
        Self { rest: Vec::new(), longest }
    }

    /// The lines that these bytes end, without their ends; empty ones are left out.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\r' | b'\n' if self.rest.is_empty() => {}
                b'\r' | b'\n' => lines.push(mem::take(&mut self.rest)),
                byte if self.rest.len() <= self.longest => self.rest.push(*byte),
                _ => {}
            }
        }
        debug_assert!(self.rest.len() <= self.longest + 1, "what is kept of a line is bounded");
        lines
    }

    /// Forgets what has come of the next line.
    pub(super) fn clear(&mut self) {
        self.rest.clear();
    }
}

#[test]
fn lines_are_put_together_and_bounded() {
    let mut lines = Lines::new(5);
    let text =
        |lines: &[Vec<u8>]| lines.iter().map(|l| String::from_utf8_lossy(l).into_owned()).collect::<Vec<_>>();
    assert_eq!(text(&lines.push(b"one\r\n\ntwo\nth")), ["one", "two"]);
    assert_eq!(text(&lines.push(b"r")), [""; 0]);
    assert_eq!(text(&lines.push(b"ee\nsixsixsixsix")), ["three"]);
    assert_eq!(text(&lines.push(b"six\nok\n")), ["sixsix", "ok"]);
    lines.push(b"rest");
    lines.clear();
    assert_eq!(text(&lines.push(b"new\n")), ["new"]);
}
