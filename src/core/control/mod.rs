//! Mode 6, reading: what ntpq and ntpstat ask, answered as ntpd 4.2.6p5 answers.

mod text;

pub use text::Var;

use crate::config::model::AccessFlags;
use crate::units::{AssocId, Leap};
use crate::wire::control::{ControlError, Request, opcode};

/// All that can be asked for, made when a request comes.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Leap bits, for the header of the answer.
    pub leap: Leap,
    /// System status word.
    pub status: u16,
    /// System variables, in ntpd's order.
    pub system: Vec<Var>,
    /// The associations, in the order of their configuration.
    pub peers: Vec<PeerView>,
    /// Variables of the local clock, where there is one.
    pub clock: Option<(AssocId, Vec<Var>)>,
}

/// What can be asked of an association.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its identifier.
    pub id: AssocId,
    /// Peer status word.
    pub status: u16,
    /// Its variables, in ntpd's order.
    pub vars: Vec<Var>,
}

/// The response to a request: the datagrams to send, none for what is no request.
#[must_use]
pub fn answer(packet: &[u8], view: &View, _flags: AccessFlags) -> Vec<Vec<u8>> {
    let (request, result) = match Request::parse(packet) {
        Ok(None) => return Vec::new(),
        Ok(Some(request)) => (request, read(&request, view)),
        Err((request, error)) => (request, Err(error)),
    };
    match result {
        Ok((status, pieces)) => request.respond(view.leap, status, &pieces),
        Err(error) => vec![request.refuse(view.leap, error)],
    }
}

type Answer = Result<(u16, Vec<Vec<u8>>), ControlError>;

fn read(request: &Request<'_>, view: &View) -> Answer {
    match request.opcode {
        opcode::READ_STATUS if request.association == 0 => Ok((view.status, status_pairs(view))),
        opcode::READ_STATUS | opcode::READ_VARIABLES if request.association != 0 => {
            let peer =
                view.peers.iter().find(|p| p.id.0 == request.association).ok_or(ControlError::Association)?;
            Ok((peer.status, text::pack(&text::choose(&peer.vars, request.data)?)))
        }
        opcode::READ_VARIABLES => Ok((view.status, text::pack(&text::choose(&view.system, request.data)?))),
        opcode::READ_CLOCK => {
            let clock =
                view.clock.as_ref().filter(|(id, _)| request.association == 0 || request.association == id.0);
            let (_, vars) = clock.ok_or(ControlError::Association)?;
            Ok((0, text::pack(&text::choose(vars, request.data)?)))
        }
        // They change state, which nobody may yet.
        opcode::WRITE_VARIABLES
        | opcode::WRITE_CLOCK
        | opcode::CONFIGURE
        | opcode::SAVE_CONFIG
        | opcode::SET_TRAP
        | opcode::UNSET_TRAP => Err(ControlError::Permission),
        _ => Err(ControlError::Opcode),
    }
}

/// Association identifiers with their status words, four octets each.
fn status_pairs(view: &View) -> Vec<Vec<u8>> {
    let octets: Vec<u8> = view
        .peers
        .iter()
        .flat_map(|p| p.id.0.to_be_bytes().into_iter().chain(p.status.to_be_bytes()))
        .collect();
    octets.chunks(crate::wire::control::DATA_MAX).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn view() -> View {
        View {
            status: 0x0615,
            system: vec![Var::integer("stratum", 3), Var::seconds("rootdelay", 0.0123)],
            peers: vec![PeerView { id: AssocId(513), status: 0x963a, vars: vec![Var::hex("flash", 0x400)] }],
            clock: Some((AssocId(600), vec![Var::text("device", "Undisciplined local clock")])),
            ..View::default()
        }
    }

    fn ask(opcode: u8, association: u16, data: &str) -> Vec<u8> {
        let mut packet = vec![0x16, opcode, 0, 9, 0, 0];
        packet.extend(association.to_be_bytes());
        packet.extend([0, 0]);
        packet.extend((data.len() as u16).to_be_bytes());
        packet.extend(data.as_bytes());
        packet
    }

    fn text(packet: &[u8]) -> String {
        let [answer] = &answer(packet, &view(), AccessFlags::NONE)[..] else { panic!("one datagram") };
        assert_eq!(answer[1] & 0xc0, 0x80, "{answer:02x?}");
        let count = usize::from(u16::from_be_bytes([answer[10], answer[11]]));
        String::from_utf8_lossy(&answer[12..12 + count]).into_owned()
    }

    fn error(packet: &[u8]) -> u8 {
        let [answer] = &answer(packet, &view(), AccessFlags::NONE)[..] else { panic!("one datagram") };
        assert_eq!(answer[1] & 0xc0, 0xc0);
        answer[4]
    }

    #[test]
    fn variables_are_read_by_name_or_all() {
        assert_eq!(text(&ask(2, 0, "")), "stratum=3, rootdelay=12.300\r\n");
        assert_eq!(text(&ask(2, 0, "rootdelay, stratum")), "rootdelay=12.300, stratum=3\r\n");
        assert_eq!(text(&ask(2, 513, "")), "flash=0x400\r\n");
        assert_eq!(text(&ask(4, 0, "")), "device=\"Undisciplined local clock\"\r\n");
        let pairs = &answer(&ask(1, 0, ""), &view(), AccessFlags::NONE)[0];
        assert_eq!(pairs[4..], [6, 0x15, 0, 0, 0, 0, 0, 4, 2, 1, 0x96, 0x3a]);
    }

    #[test]
    fn errors_have_the_numbers_of_the_rfc() {
        assert_eq!(error(&ask(2, 0, "nonsense")), 5);
        assert_eq!(error(&ask(2, 99, "")), 4);
        assert_eq!(error(&ask(12, 0, "")), 3);
        assert_eq!(error(&ask(8, 0, "server 192.0.2.1")), 1);
        assert_eq!(error(&ask(3, 0, "a=b")), 1);
        let mut cut = ask(2, 0, "stratum");
        cut.pop();
        assert_eq!(error(&cut), 2);
    }

    proptest! {
        #[test]
        fn any_octets_get_a_bounded_answer(packet in prop::collection::vec(any::<u8>(), 0..600)) {
            for datagram in answer(&packet, &view(), AccessFlags::NONE) {
                prop_assert!(datagram.len() <= 480 && datagram.len() % 4 == 0);
            }
        }
    }
}
