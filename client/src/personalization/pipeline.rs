//! How many cards are where on a line, and what is done next. Pure: it moves no card.
//!
//! Two portions are under way where the pipeline allows: one is asked for, or its results are given, while the other is
//! written.

/// What is done next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Take cards and ask for their keys.
    Ask,
    /// Write a card whose keys are there.
    Write,
    /// Give results.
    Give,
    /// Wait for the service.
    Wait,
    /// Nothing is left to do.
    End,
}

/// The cards in hand, by where they are.
#[derive(Debug)]
pub(super) struct Pipeline {
    /// Most of them at a time.
    depth: usize,
    /// Whether there may be more cards to take.
    pub(super) feeding: bool,
    /// Asked for.
    pub(super) asking: usize,
    /// Their keys are here.
    pub(super) ready: usize,
    /// Written, with their result not given.
    pub(super) made: usize,
    /// Their results are being given.
    pub(super) giving: usize,
}

impl Pipeline {
    pub(super) fn new(depth: u16, made: usize) -> Self {
        let depth = usize::from(depth).max(1);
        Self { depth, feeding: true, asking: 0, ready: 0, made, giving: 0 }
    }

    /// Half of what may be in hand, so that the other half can be written meanwhile.
    pub(super) fn portion(&self) -> usize {
        (self.depth / 2).max(1)
    }

    /// How many cards may be taken now.
    pub(super) fn room(&self) -> usize {
        let in_hand = [self.asking, self.ready, self.made, self.giving];
        let in_hand = in_hand.into_iter().fold(0_usize, usize::saturating_add);
        self.depth.saturating_sub(in_hand).min(self.portion())
    }

    pub(super) fn next(&self) -> Next {
        let busy = self.asking > 0 || self.giving > 0;
        // Results first: they make room. One order at a time, so that none overtakes another.
        if !busy && self.made >= self.portion() {
            Next::Give
        } else if !busy && self.feeding && self.room() >= self.portion() {
            Next::Ask
        } else if self.ready > 0 {
            Next::Write
        } else if busy {
            Next::Wait
        } else if self.made > 0 {
            Next::Give
        } else {
            Next::End
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs so many cards through, the service slow to answer where `slow`; gives the most in hand, and how often a card
    /// was written while the service was busy.
    fn run(depth: u16, mut cards: usize, slow: bool) -> (usize, usize) {
        let (mut line, mut most, mut beside, mut steps) = (Pipeline::new(depth, 0), 0, 0, 0);
        let mut written = 0;
        loop {
            steps += 1;
            assert!(steps < 100_000);
            most = most.max(line.asking + line.ready + line.made + line.giving);
            if !slow {
                (line.ready, line.asking, line.giving) = (line.ready + line.asking, 0, 0);
            }
            match line.next() {
                Next::Ask => {
                    let take = line.room().min(cards);
                    cards -= take;
                    line.asking += take;
                    line.feeding = cards > 0;
                }
                Next::Write => {
                    beside += usize::from(line.asking + line.giving > 0);
                    (line.ready, line.made, written) = (line.ready - 1, line.made + 1, written + 1);
                }
                Next::Give => (line.giving, line.made) = (line.made, 0),
                Next::Wait => {
                    (line.ready, line.asking, line.giving) = (line.ready + line.asking, 0, 0);
                }
                Next::End => break,
            }
        }
        assert_eq!((cards, line.made, line.giving, line.ready), (0, 0, 0, 0));
        assert!(written > 0);
        (most, beside)
    }

    #[test]
    fn every_card_goes_through_and_never_more_are_in_hand_than_may_be() {
        for depth in [1, 2, 3, 7, 8, 64, 1_000] {
            for slow in [false, true] {
                let (most, _) = run(depth, 2_345, slow);
                assert!(most <= usize::from(depth), "{most} of {depth}");
            }
        }
    }

    #[test]
    fn cards_are_written_while_the_service_works_on_the_next() {
        let (most, beside) = run(8, 1_000, true);
        assert_eq!(most, 8);
        assert!(beside > 800, "{beside}");
        // One at a time leaves nothing to overlap.
        assert_eq!(run(1, 100, true), (1, 0));
    }

    #[test]
    fn results_left_over_from_before_are_given_first() {
        assert_eq!(Pipeline::new(8, 4).next(), Next::Give);
        assert_eq!(Pipeline::new(8, 0).next(), Next::Ask);
    }
}
