//! What the front counts. No identifier of a card or a caller is in it.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($(#[doc = $doc:literal] $name:ident,)*) => {
        /// Live counters since the start.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($name: AtomicU64,)*
        }

        impl Counters {
            $(
                #[doc = $doc]
                #[must_use]
                pub fn $name(&self) -> u64 {
                    self.$name.load(Ordering::Relaxed)
                }
            )*

            /// What each of them counts, in the same order as [`Counters::all`].
            #[must_use]
            pub fn meanings() -> Vec<&'static str> {
                vec![$($doc.trim().trim_end_matches('.'),)*]
            }

            /// All of them with their names, in a fixed order.
            #[must_use]
            pub fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name()),)*]
            }
        }

        /// Which counter to add one to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(non_camel_case_types, reason = "each is named exactly as the counter it stands for")]
        pub(super) enum Count {
            $($name,)*
        }

        impl Counters {
            pub(super) fn add(&self, count: Count) {
                let counter = match count {
                    $(Count::$name => &self.$name,)*
                };
                counter.fetch_add(1, Ordering::Relaxed);
            }
        }
    };
}

counters!(
    /// Sockets dropped because too many handshakes were under way.
    handshakes_refused,
    /// Handshakes that failed: no or a bad certificate, another protocol, too slow.
    handshakes_failed,
    /// Connections dropped after the handshake because their pool or their certificate's share was used up.
    connections_refused,
    /// Connections served.
    connections,
    /// Connections cut off because a reload revoked their certificate or took its CA away.
    connections_cut,
    /// Connections whose certificate was good but whose URI name was not.
    peers_unnamed,
    /// Requests, those refused included.
    requests,
    /// Requests with another answer than 200.
    refusals,
    /// Requests refused because the keeper was not there or did not answer in time.
    keeper_unavailable,
    /// Reloads whose files were good.
    reloads,
    /// Reloads refused because a file was bad; what was in force stays so.
    reloads_failed,
    /// Connections that ended by a panic. Anything but 0 is a bug.
    panics,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_goes_to_its_own_counter() {
        let counters = Counters::default();
        counters.add(Count::requests);
        counters.add(Count::requests);
        counters.add(Count::panics);
        assert_eq!((counters.requests(), counters.panics(), counters.refusals()), (2, 1, 0));
        assert_eq!(counters.all().iter().map(|(_, value)| value).sum::<u64>(), 3);
    }
}
