//! Ordered lists: our sockets (`ifstats`) and the access list (`reslist`).

use crate::engine::control::shell_request::{Endpoint, ShellRequest, Survey};
use crate::engine::control::text;
use crate::engine::control::{Answer, Reply, View};
use crate::engine::server::access::Listed;
use crate::units::NTP_PORT;
use crate::wire::control::ControlError;
use std::net::SocketAddr;

/// ntpd's bits of an interface: up, loopback, wildcard.
const UP: u64 = 0x001;
const LOOPBACK: u64 = 0x004;
const WILDCARD: u64 = 0x080;

impl View<'_> {
    pub(super) fn ordered_list(&self, data: &[u8], survey: Option<&Survey>) -> Result<Answer, ControlError> {
        let items = match data {
            b"" | b"ifstats" => {
                let Some(survey) = survey else { return Ok(Answer::ShellRequest(ShellRequest::Survey)) };
                let endpoints = survey.endpoints.iter().enumerate();
                endpoints.flat_map(|(index, endpoint)| self.endpoint(index, endpoint)).collect::<Vec<_>>()
            }
            b"addr_restrictions" => self
                .server
                .access()
                .list()
                .enumerate()
                .flat_map(|(index, entry)| restriction(index, &entry))
                .collect(),
            _ => return Err(ControlError::Variable),
        };
        Ok(Answer::Reply(Reply::new(0, text::pack(&items))))
    }

    fn endpoint(&self, index: usize, endpoint: &Endpoint) -> [String; 12] {
        let wildcard = endpoint.address.is_unspecified();
        let loopback = endpoint.address.is_loopback();
        let flags = UP | if loopback { LOOPBACK } else { 0 } | if wildcard { WILDCARD } else { 0 };
        let peers = self.sources.iter().filter(|s| s.local_address() == Some(endpoint.address)).count();
        [
            format!("addr.{index}={}", SocketAddr::new(endpoint.address, NTP_PORT)),
            // Broadcasts are not listened to.
            format!("bcast.{index}="),
            format!("en.{index}={}", u8::from(endpoint.serves)),
            format!("name.{index}={}", text::quoted(&endpoint.name)),
            format!("flags.{index}={}", text::hex(flags)),
            format!("tl.{index}=0"),
            format!("mc.{index}=0"),
            format!("rx.{index}={}", endpoint.received),
            format!("tx.{index}={}", endpoint.sent),
            format!("txerr.{index}={}", endpoint.not_sent),
            format!("pc.{index}={peers}"),
            format!("up.{index}={}", endpoint.uptime),
        ]
    }
}

fn restriction(index: usize, entry: &Listed) -> [String; 4] {
    let own = if entry.own { Some("interface") } else { None };
    let words: Vec<_> =
        own.into_iter().chain(entry.ntpport.then_some("ntpport")).chain(entry.flags.names()).collect();
    [
        format!("addr.{index}={}", entry.address),
        format!("mask.{index}={}", entry.mask),
        format!("hits.{index}={}", entry.hits),
        format!("flags.{index}={}", words.join(" ")),
    ]
}
