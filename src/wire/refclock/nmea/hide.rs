//! What of a line may be shown: the clock variables are read by every client that may query.

use super::{Kind, Position, Unusable};

/// A sentence as it is shown. Hidden, it has `_` for the digits of latitude and longitude, and of the checksum, which would give
/// some of them back; a sentence without a position is shown as it is.
pub(super) fn shown(position: &[usize], line: &[u8], show: Position) -> String {
    match show {
        Position::Hidden if !position.is_empty() => masked(line, |field| position.contains(&field)),
        Position::Hidden | Position::Shown => text(line),
    }
}

/// One that is of no use. Where its fields cannot be trusted, the position may be in any of them.
pub(super) fn shown_damaged(kind: Kind, why: Unusable, line: &[u8], show: Position) -> String {
    let position = kind.layout().position;
    match (show, why) {
        (Position::Hidden, Unusable::Format) if !position.is_empty() => masked(line, |field| field > 0),
        _ => shown(position, line, show),
    }
}

fn masked(line: &[u8], hidden: impl Fn(usize) -> bool) -> String {
    let (mut field, mut in_checksum) = (0, false);
    let characters = line.iter().map(|byte| {
        let digit = byte.is_ascii_hexdigit() && (in_checksum || byte.is_ascii_digit());
        match byte {
            b',' => field += 1,
            b'*' => in_checksum = true,
            _ => {}
        }
        if digit && (in_checksum || hidden(field)) { b'_' } else { *byte }
    });
    let masked: Vec<u8> = characters.collect();
    text(&masked)
}

/// It has printable characters of ASCII only.
fn text(line: &[u8]) -> String {
    line.iter().map(|byte| char::from(*byte)).collect()
}
