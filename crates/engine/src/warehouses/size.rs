//! Sizes of warehouses: the words for them, their threads, memory and credits.

/// The words accepted for each size, and the one SHOW WAREHOUSES gives; the smallest first.
const SIZES: &[(&[&str], &str)] = &[
    (&["XSMALL", "X-SMALL"], "X-Small"),
    (&["SMALL"], "Small"),
    (&["MEDIUM"], "Medium"),
    (&["LARGE"], "Large"),
    (&["XLARGE", "X-LARGE"], "X-Large"),
    (&["XXLARGE", "X2LARGE", "2X-LARGE"], "2X-Large"),
    (&["XXXLARGE", "X3LARGE", "3X-LARGE"], "3X-Large"),
    (&["X4LARGE", "4X-LARGE"], "4X-Large"),
    (&["X5LARGE", "5X-LARGE"], "5X-Large"),
    (&["X6LARGE", "6X-LARGE"], "6X-Large"),
];

const SECONDS_PER_HOUR: f64 = 3600.0;

/// A size; each has twice what the one below has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Size(u32);

impl Size {
    /// The size of a word in SQL, or of SHOW WAREHOUSES.
    pub fn named(word: &str) -> Option<Size> {
        let word = word.to_uppercase();
        let at = SIZES.iter().position(|(words, shown)| {
            words.contains(&word.as_str()) || shown.to_uppercase() == word
        })?;
        u32::try_from(at).ok().map(Size)
    }

    pub fn shown(self) -> &'static str {
        SIZES[self.0 as usize].1
    }

    /// Threads of a warehouse on a server that has so many.
    pub fn threads(self, of: usize) -> usize {
        (1_usize << self.0).min(of.max(1))
    }

    /// Bytes that the statements of a warehouse may reserve: its threads' part of the server's.
    pub fn memory(self, threads: usize, bytes: usize) -> usize {
        let threads = threads.max(1);
        bytes / threads * self.threads(threads)
    }

    pub fn credits_per_second(self) -> f64 {
        f64::from(1_u32 << self.0) / SECONDS_PER_HOUR
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_size_has_its_words_and_twice_the_credits() {
        for (at, (words, shown)) in SIZES.iter().enumerate() {
            let size = Size(at as u32);
            for word in words.iter().chain([shown]) {
                assert_eq!(Size::named(word), Some(size), "{word}");
            }
            assert_eq!(size.shown(), *shown);
        }
        assert_eq!(Size::named("HUGE"), None);
        let hour = |word| Size::named(word).unwrap().credits_per_second() * 3600.0;
        assert_eq!((hour("XSMALL").round(), hour("LARGE").round()), (1.0, 8.0));
        assert_eq!(hour("6X-Large").round(), 512.0);
    }

    #[test]
    fn a_warehouse_has_a_part_of_the_server() {
        let size = |word| Size::named(word).unwrap();
        assert_eq!((size("XSMALL").threads(8), size("XSMALL").memory(8, 800)), (1, 100));
        assert_eq!((size("MEDIUM").threads(8), size("MEDIUM").memory(8, 800)), (4, 400));
        assert_eq!((size("X6LARGE").threads(8), size("X6LARGE").memory(8, 800)), (8, 800));
        assert_eq!(size("XSMALL").memory(1, 800), 800);
    }
}
