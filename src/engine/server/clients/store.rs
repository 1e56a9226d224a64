//! Where clients are kept: a slab of fixed depth, found through a keyed hash, in order of recency.
//!
//! All memory is allocated once; the kernel maps pages as they are used. A packet allocates
//! nothing, and without the key no attacker can make two addresses collide in one bucket.

use crate::engine::server::clients::Client;
use siphasher::sip::SipHasher13;
use std::hash::Hasher as _;
use std::net::IpAddr;

/// No slot.
const NONE: u32 = u32::MAX;

/// A slot's position. It stays the same client's until a new one takes the place of the oldest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClientId(u32);

#[derive(Clone, Debug)]
struct Slot {
    client: Client,
    /// The next one in the same bucket.
    chain: u32,
    newer: u32,
    older: u32,
}

/// The slab and its two orders.
#[derive(Clone, Debug)]
pub(super) struct Store {
    slots: Vec<Slot>,
    depth: usize,
    /// First slot of each bucket, plus one: a table of zeros costs no memory until it is used.
    buckets: Vec<u32>,
    key: [u8; 16],
    newest: u32,
    oldest: u32,
}

impl Store {
    /// Room for `depth` clients (at least 1), hashed with `key`.
    pub(super) fn new(depth: usize, key: [u8; 16]) -> Self {
        let depth = depth.max(1);
        Self {
            slots: Vec::with_capacity(depth),
            depth,
            buckets: vec![0; depth],
            key,
            newest: NONE,
            oldest: NONE,
        }
    }

    /// The same clients in a store of another depth, the oldest ones left out.
    pub(super) fn resized(&self, depth: usize) -> Self {
        let mut other = Self::new(depth, self.key);
        let mut at = self.newest;
        let mut kept = Vec::new();
        while let Some(slot) = self.slots.get(at as usize)
            && kept.len() < other.depth
        {
            kept.push(slot.client.clone());
            at = slot.older;
        }
        for client in kept.into_iter().rev() {
            other.insert(client);
        }
        other
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) const fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes that a full store of this depth takes.
    pub(super) const fn memory(depth: usize) -> usize {
        depth * (size_of::<Slot>() + size_of::<u32>())
    }

    pub(super) fn get(&self, id: ClientId) -> Option<&Client> {
        self.slots.get(id.0 as usize).map(|s| &s.client)
    }

    pub(super) fn get_mut(&mut self, id: ClientId) -> Option<&mut Client> {
        self.slots.get_mut(id.0 as usize).map(|s| &mut s.client)
    }

    pub(super) fn find(&self, address: IpAddr) -> Option<ClientId> {
        let mut at = self.buckets[self.bucket(address)].wrapping_sub(1);
        while let Some(slot) = self.slots.get(at as usize) {
            if slot.client.address == address {
                return Some(ClientId(at));
            }
            at = slot.chain;
        }
        None
    }

    /// Puts a new client in front; the store must not be full (then the oldest gives way).
    pub(super) fn insert(&mut self, client: Client) -> ClientId {
        if self.slots.len() >= self.depth {
            return self.replace_oldest(client);
        }
        debug_assert!(self.find(client.address).is_none(), "an address has one entry: {}", client.address);
        let at = self.slots.len() as u32;
        let bucket = self.bucket(client.address);
        self.slots.push(Slot {
            client,
            chain: self.buckets[bucket].wrapping_sub(1),
            newer: NONE,
            older: NONE,
        });
        self.buckets[bucket] = at + 1;
        self.link_newest(at);
        debug_assert!(self.slots.len() <= self.depth, "a store holds no more clients than its depth");
        ClientId(at)
    }

    /// Assigns the oldest client's slot to a new one.
    pub(super) fn replace_oldest(&mut self, client: Client) -> ClientId {
        debug_assert!(self.find(client.address).is_none(), "an address has one entry: {}", client.address);
        let at = self.oldest;
        let Some(slot) = self.slots.get(at as usize) else { return self.insert(client) };
        debug_assert_eq!(
            self.find(slot.client.address),
            Some(ClientId(at)),
            "a client is found by its address until another one takes its place"
        );
        self.leave_bucket(at, self.bucket(slot.client.address));
        let bucket = self.bucket(client.address);
        let slot = &mut self.slots[at as usize];
        slot.client = client;
        slot.chain = self.buckets[bucket].wrapping_sub(1);
        self.buckets[bucket] = at + 1;
        self.touch(ClientId(at));
        ClientId(at)
    }

    /// Makes a client the newest.
    pub(super) fn touch(&mut self, id: ClientId) {
        let at = id.0;
        if at == self.newest {
            return;
        }
        let Slot { newer, older, .. } = self.slots[at as usize];
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        debug_assert_ne!(self.newest, at, "a client that is moved to the front is out of the order first");
        self.link_newest(at);
    }

    pub(super) fn oldest(&self) -> Option<ClientId> {
        (self.oldest != NONE).then_some(ClientId(self.oldest))
    }

    /// The client heard just after this one.
    pub(super) fn newer(&self, id: ClientId) -> Option<ClientId> {
        self.slots.get(id.0 as usize).filter(|s| s.newer != NONE).map(|s| ClientId(s.newer))
    }

    /// A number that no attacker can predict, for random decisions.
    pub(super) fn draw(&self, counter: u64) -> u32 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&counter.to_ne_bytes());
        hasher.finish() as u32
    }

    fn bucket(&self, address: IpAddr) -> usize {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        match address {
            IpAddr::V4(v4) => hasher.write(&v4.octets()),
            IpAddr::V6(v6) => hasher.write(&v6.octets()),
        }
        // The high half of the product spreads 32 bits evenly over any number of buckets.
        ((hasher.finish() & 0xffff_ffff) as usize * self.buckets.len()) >> 32
    }

    fn link_newest(&mut self, at: u32) {
        let before = self.newest;
        debug_assert!(
            self.slots.get(before as usize).is_none_or(|newest| newest.newer == NONE),
            "no client is newer than the newest"
        );
        let slot = &mut self.slots[at as usize];
        (slot.newer, slot.older) = (NONE, before);
        match self.slots.get_mut(before as usize) {
            Some(slot) => slot.newer = at,
            None => self.oldest = at,
        }
        self.newest = at;
    }

    fn leave_bucket(&mut self, gone: u32, bucket: usize) {
        let after = self.slots[gone as usize].chain;
        let mut at = self.buckets[bucket].wrapping_sub(1);
        if at == gone {
            self.buckets[bucket] = after.wrapping_add(1);
            return;
        }
        while let Some(slot) = self.slots.get_mut(at as usize) {
            if slot.chain == gone {
                slot.chain = after;
                return;
            }
            at = slot.chain;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn address(n: u32) -> IpAddr {
        if n.is_multiple_of(3) {
            std::net::Ipv6Addr::from_bits(u128::from(n)).into()
        } else {
            Ipv4Addr::from_bits(n).into()
        }
    }

    fn client(n: u32) -> Client {
        Client::new(address(n))
    }

    #[test]
    fn a_full_default_table_fits_its_bound() {
        let depth = crate::config::model::Mru::default().maxdepth as usize;
        assert!(Store::memory(depth) <= 4 << 20, "{}", Store::memory(depth));
        assert!(Store::memory(1) <= crate::config::model::Mru::ENTRY as usize);
    }

    proptest! {
        /// Against a list that does the same slowly.
        #[test]
        fn keeps_order_and_finds_everybody(depth in 1usize..12, heard in prop::collection::vec(0u32..30, 0..200)) {
            let mut store = Store::new(depth, [3; 16]);
            let mut model: Vec<u32> = Vec::new();
            for n in heard {
                match store.find(address(n)) {
                    Some(id) => store.touch(id),
                    None => drop(store.insert(client(n))),
                }
                model.retain(|m| *m != n);
                model.insert(0, n);
                model.truncate(depth);
                let linked = |at: u32| (at != NONE).then_some(at);
                let newest: Vec<IpAddr> =
                    std::iter::successors(linked(store.newest), |at| linked(store.slots[*at as usize].older))
                        .map(|at| store.get(ClientId(at)).unwrap().address)
                        .collect();
                let wanted: Vec<IpAddr> = model.iter().map(|m| address(*m)).collect();
                prop_assert_eq!(&newest, &wanted);
                let mut oldest: Vec<IpAddr> = std::iter::successors(store.oldest(), |id| store.newer(*id))
                    .map(|id| store.get(id).unwrap().address)
                    .collect();
                oldest.reverse();
                prop_assert_eq!(&oldest, &wanted);
                for n in 0..30 {
                    let found = store.find(address(n)).map(|id| store.get(id).unwrap().address);
                    prop_assert_eq!(found, model.contains(&n).then(|| address(n)));
                }
                let smaller = store.resized(depth / 2);
                prop_assert_eq!(smaller.len(), model.len().min((depth / 2).max(1)));
                prop_assert!(smaller.find(address(model[0])).is_some());
            }
        }
    }
}
