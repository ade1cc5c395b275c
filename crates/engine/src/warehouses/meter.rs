//! Credits of a warehouse: by the second while it runs, a minute at least for each resume.

const MICROS_PER_SECOND: i64 = 1_000_000;
const HOUR: i64 = 3600 * MICROS_PER_SECOND;
/// What each resume costs at least.
const MINIMUM_SECONDS: i64 = 60;

/// A stretch within one hour. Times in microseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stretch {
    pub start: i64,
    pub end: i64,
    pub credits: f64,
}

/// Counts one warehouse. Time goes on by what the caller says.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    credits_per_second: f64,
    /// The stretch under way.
    current: Option<Stretch>,
    /// Paid for up to this time.
    paid_until: i64,
    /// Ended, and not yet taken.
    ended: Vec<Stretch>,
}

impl Meter {
    pub fn is_running(&self) -> bool {
        self.current.is_some()
    }

    /// The warehouse runs from now on; a resume costs the minimum at once.
    pub fn start(&mut self, now: i64, resumed: bool) {
        if self.is_running() {
            return;
        }
        let minimum = if resumed { MINIMUM_SECONDS } else { 0 };
        self.paid_until = now + minimum * MICROS_PER_SECOND;
        let credits = self.credits_per_second * minimum as f64;
        self.current = Some(Stretch { start: now, end: now, credits });
    }

    /// Counts up to now.
    pub fn advance(&mut self, now: i64) {
        let Some(mut current) = self.current else { return };
        while current.end < now {
            let hour_end = (current.end.div_euclid(HOUR) + 1) * HOUR;
            let until = now.min(hour_end);
            let unpaid = until - self.paid_until.clamp(current.end, until);
            current.credits += self.credits_per_second * (unpaid as f64 / MICROS_PER_SECOND as f64);
            current.end = until;
            if until == hour_end {
                self.ended.push(current);
                current = Stretch { start: until, end: until, credits: 0.0 };
            }
        }
        self.current = Some(current);
    }

    /// The warehouse runs no longer.
    pub fn stop(&mut self, now: i64) {
        self.advance(now);
        self.ended.extend(self.current.take());
    }

    /// Changes the price from now on. What is paid for in advance is paid for at the new price.
    pub fn set_price(&mut self, now: i64, credits_per_second: f64) {
        self.advance(now);
        let more = credits_per_second - self.credits_per_second;
        if let Some(current) = &mut self.current
            && more > 0.0
        {
            let ahead = (self.paid_until - now).max(0);
            current.credits += more * (ahead as f64 / MICROS_PER_SECOND as f64);
        }
        self.credits_per_second = credits_per_second;
    }

    /// All stretches that are new or have grown, in order.
    pub fn take(&mut self) -> Vec<Stretch> {
        let mut stretches = std::mem::take(&mut self.ended);
        stretches.extend(self.current);
        stretches
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECOND: i64 = MICROS_PER_SECOND;

    fn meter() -> Meter {
        let mut meter = Meter::default();
        meter.set_price(0, 1.0);
        meter
    }

    fn credits(meter: &mut Meter) -> f64 {
        meter.take().iter().map(|stretch| stretch.credits).sum()
    }

    #[test]
    fn a_resume_costs_a_minute_and_then_the_seconds() {
        let mut meter = meter();
        meter.start(0, true);
        assert_eq!(credits(&mut meter), 60.0);
        meter.advance(59 * SECOND);
        assert_eq!(credits(&mut meter), 60.0);
        meter.advance(61 * SECOND);
        assert_eq!(credits(&mut meter), 61.0);
        meter.stop(90 * SECOND);
        assert_eq!(credits(&mut meter), 90.0);
        meter.advance(500 * SECOND);
        assert_eq!(credits(&mut meter), 0.0);
        meter.start(500 * SECOND, true);
        meter.stop(501 * SECOND);
        assert_eq!(credits(&mut meter), 60.0);
    }

    #[test]
    fn what_runs_at_a_start_of_the_server_pays_by_the_second() {
        let mut meter = meter();
        meter.start(0, false);
        meter.stop(SECOND / 2);
        assert_eq!(credits(&mut meter), 0.5);
    }

    #[test]
    fn stretches_end_with_the_hour() {
        let mut meter = meter();
        meter.start(HOUR - 100 * SECOND, false);
        meter.advance(2 * HOUR + 10 * SECOND);
        let stretches = meter.take();
        let lengths: Vec<f64> = stretches.iter().map(|stretch| stretch.credits).collect();
        assert_eq!(lengths, [100.0, 3600.0, 10.0]);
        assert_eq!((stretches[1].start, stretches[1].end), (HOUR, 2 * HOUR));
        // The one under way is told again as it grows.
        meter.advance(2 * HOUR + 20 * SECOND);
        assert_eq!(credits(&mut meter), 20.0);
    }

    #[test]
    fn a_larger_size_costs_more_from_then_on() {
        let mut meter = meter();
        meter.start(0, true);
        meter.set_price(30 * SECOND, 2.0);
        meter.stop(70 * SECOND);
        assert_eq!(credits(&mut meter), 30.0 + 60.0 + 20.0);
    }
}
