//! What callers are listed as that are no workload of this host: their addresses, written out once.
//!
//! In: the address of a client. Out: its name, shared. Remembers a bounded number; one that was forgotten is written anew.

use std::{hash::BuildHasher as _, net::IpAddr, sync::Arc};

use foldhash::fast::FixedState;

use crate::event::Address;

/// Names remembered. Overflow policy: the newest takes the place of one with the same remainder.
const SLOTS: usize = 1024;

/// An address and its name.
type Named = (IpAddr, Arc<str>);

/// Names by address.
#[derive(Debug)]
pub(super) struct Addresses {
    slots: Box<[Option<Named>]>,
    unix: Arc<str>,
}

impl Default for Addresses {
    fn default() -> Self {
        Self {
            slots: vec![None; SLOTS].into(),
            unix: "unix".into(),
        }
    }
}

impl Addresses {
    /// The name of an address, without its port.
    pub(super) fn name(&mut self, address: &Address) -> Arc<str> {
        let Address::Ip(ip, _) = address else {
            return Arc::clone(&self.unix);
        };
        let at = FixedState::default().hash_one(ip) as usize % SLOTS;
        match self.slots.get_mut(at) {
            Some(Some((known, name))) if known == ip => Arc::clone(name),
            Some(slot) => {
                let name = Arc::from(ip.to_string());
                *slot = Some((*ip, Arc::clone(&name)));
                name
            }
            None => ip.to_string().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shared_and_do_not_get_mixed_up() {
        let mut addresses = Addresses::default();
        let address = |number: u32| Address::Ip(IpAddr::V4(number.into()), 80);
        for number in (0..5_000).chain(0..5_000) {
            assert_eq!(
                *addresses.name(&address(number)),
                *IpAddr::V4(number.into()).to_string()
            );
        }
        let (first, again) = (addresses.name(&address(1)), addresses.name(&address(1)));
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(*addresses.name(&Address::Unix("/run/x".to_owned())), *"unix");
    }
}
