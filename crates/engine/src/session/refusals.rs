//! How many refused logins are written down. Nobody needs a credential to be refused, so that without
//! a limit anybody could fill the disk.

use std::collections::HashMap;

use parking_lot::Mutex;

/// Refused logins of one address that are written down within a minute.
const NOTED_MAX: u32 = 100;
/// Addresses that are told apart within a minute; all others count as one.
const ADDRESSES_MAX: usize = 1000;
const MINUTE_MICROS: i64 = 60 * 1_000_000;

/// The refused logins of the present minute.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    present: Mutex<Minute>,
}

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    by_address: HashMap<String, u32>,
}

impl Refusals {
    /// Counts a refused login; whether it is to be written into the history and the log.
    pub fn count(&self, address: Option<&str>, now_micros: i64) -> bool {
        let mut present = self.present.lock();
        let number = now_micros.div_euclid(MINUTE_MICROS);
        if present.number != number {
            *present = Minute { number, by_address: HashMap::new() };
        }
        let known = address.is_none_or(|address| present.by_address.contains_key(address));
        let address = match address {
            Some(address) if known || present.by_address.len() < ADDRESSES_MAX => address,
            _ => "",
        };
        let count = present.by_address.entry(address.to_string()).or_default();
        *count = count.saturating_add(1);
        if *count == NOTED_MAX {
            tracing::warn!(
                client_ip = address,
                "further refused logins from here are not written down within this minute"
            );
        }
        *count <= NOTED_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_noted_so_often_in_a_minute() {
        let refusals = Refusals::default();
        let noted = |address, now| (0..300).filter(|_| refusals.count(address, now)).count();
        assert_eq!(noted(Some("10.0.0.1"), 1), 100);
        assert_eq!(noted(Some("10.0.0.2"), MINUTE_MICROS - 1), 100);
        assert_eq!(noted(Some("10.0.0.1"), MINUTE_MICROS - 1), 0);
        assert_eq!(noted(Some("10.0.0.1"), MINUTE_MICROS), 100);
    }

    #[test]
    fn many_addresses_take_no_more_memory() {
        let refusals = Refusals::default();
        let addresses =
            || (0..3000).map(|number| format!("10.0.{}.{}", number / 256, number % 256));
        let noted = addresses().filter(|address| refusals.count(Some(address), 1)).count();
        assert_eq!(noted, ADDRESSES_MAX + NOTED_MAX as usize);
        assert_eq!(refusals.present.lock().by_address.len(), ADDRESSES_MAX + 1);
    }
}
