//! What a resource monitor says to the credits used in its period.

use chrono::{DateTime, Datelike, Days, Months, Utc};
use frazil_catalog::account::{MonitorAction, MonitorFrequency, ResourceMonitor};

/// The verdict over a period.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// Start of the period, in microseconds since 1970 UTC.
    pub period: i64,
    pub used: f64,
    /// Of the triggers that notify, the highest that is reached.
    pub notify: Option<u32>,
    /// No warehouse under the monitor may start anything.
    pub suspend: bool,
    /// What runs stops too.
    pub immediately: bool,
}

/// Start of the period that `now` is in; none before the monitor begins.
pub(crate) fn period_start(monitor: &ResourceMonitor, now: i64) -> Option<i64> {
    let start = DateTime::<Utc>::from_timestamp_micros(monitor.start_time)?;
    let now = DateTime::<Utc>::from_timestamp_micros(now)?;
    if now < start {
        return None;
    }
    let days = u64::try_from((now - start).num_days()).ok()?;
    let months =
        u32::try_from((now.year() - start.year()) * 12 + now.month() as i32 - start.month() as i32)
            .ok()?;
    let by_months = |every: u32| {
        // A month may be begun and its day not yet reached.
        let whole = months / every * every;
        start
            .checked_add_months(Months::new(whole))
            .filter(|begun| *begun <= now)
            .or_else(|| start.checked_add_months(Months::new(whole.checked_sub(every)?)))
    };
    let begun = match monitor.frequency {
        MonitorFrequency::Never => Some(start),
        MonitorFrequency::Daily => start.checked_add_days(Days::new(days)),
        MonitorFrequency::Weekly => start.checked_add_days(Days::new(days / 7 * 7)),
        MonitorFrequency::Monthly => by_months(1),
        MonitorFrequency::Yearly => by_months(12),
    };
    begun.map(|begun| begun.timestamp_micros())
}

/// What a monitor says at `now`; `credits` gives what was used since a time.
pub(crate) fn judge(
    monitor: &ResourceMonitor,
    now: i64,
    credits: impl FnOnce(i64) -> f64,
) -> Verdict {
    let Some(period) = period_start(monitor, now) else {
        return Verdict { period: 0, used: 0.0, notify: None, suspend: false, immediately: false };
    };
    let used = credits(period);
    let reached: Vec<_> = match monitor.credit_quota {
        None => Vec::new(),
        Some(quota) => {
            let is_reached = |percent: u32| used * 100.0 >= quota as f64 * f64::from(percent);
            monitor.triggers.iter().filter(|trigger| is_reached(trigger.percent)).collect()
        }
    };
    let ended = monitor.end_time.is_some_and(|end| end <= now);
    let any = |action| reached.iter().any(|trigger| trigger.action == action);
    let immediately = any(MonitorAction::SuspendImmediate);
    Verdict {
        period,
        used,
        notify: reached.iter().map(|trigger| trigger.percent).max(),
        suspend: ended || immediately || any(MonitorAction::Suspend),
        immediately,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use frazil_catalog::account::MonitorTrigger;

    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_micros()
    }

    fn monitor(frequency: MonitorFrequency, start: &str) -> ResourceMonitor {
        ResourceMonitor { frequency, start_time: at(start), ..ResourceMonitor::default() }
    }

    #[test]
    fn periods_begin_as_the_first_did() {
        use MonitorFrequency::{Daily, Monthly, Never, Weekly, Yearly};
        for (frequency, start, now, expected) in [
            (Daily, "2026-01-31T10:00:00Z", "2026-02-02T09:59:59Z", "2026-02-01T10:00:00Z"),
            (Weekly, "2026-01-01T00:00:00Z", "2026-01-15T00:00:00Z", "2026-01-15T00:00:00Z"),
            (Monthly, "2026-01-15T00:00:00Z", "2026-03-14T23:00:00Z", "2026-02-15T00:00:00Z"),
            (Monthly, "2026-01-31T00:00:00Z", "2026-02-28T12:00:00Z", "2026-02-28T00:00:00Z"),
            (Monthly, "2026-01-15T00:00:00Z", "2026-01-20T00:00:00Z", "2026-01-15T00:00:00Z"),
            (Yearly, "2024-06-01T00:00:00Z", "2026-05-31T00:00:00Z", "2025-06-01T00:00:00Z"),
            (Yearly, "2024-06-01T00:00:00Z", "2024-07-01T00:00:00Z", "2024-06-01T00:00:00Z"),
            (Never, "2020-01-01T00:00:00Z", "2026-05-31T00:00:00Z", "2020-01-01T00:00:00Z"),
        ] {
            let monitor = monitor(frequency, start);
            assert_eq!(period_start(&monitor, at(now)), Some(at(expected)), "{frequency:?} {now}");
        }
        let later = monitor(Daily, "2026-01-02T00:00:00Z");
        assert_eq!(period_start(&later, at("2026-01-01T00:00:00Z")), None);
    }

    #[test]
    fn triggers_are_reached_in_percent_of_the_quota() {
        let mut monitor = monitor(MonitorFrequency::Never, "2026-01-01T00:00:00Z");
        let now = at("2026-01-02T00:00:00Z");
        monitor.credit_quota = Some(10);
        monitor.triggers = vec![
            MonitorTrigger { percent: 50, action: MonitorAction::Notify },
            MonitorTrigger { percent: 100, action: MonitorAction::Suspend },
            MonitorTrigger { percent: 110, action: MonitorAction::SuspendImmediate },
        ];
        let verdict = |used: f64| {
            let verdict = judge(&monitor, now, |_| used);
            (verdict.notify, verdict.suspend, verdict.immediately)
        };
        assert_eq!(verdict(4.9), (None, false, false));
        assert_eq!(verdict(5.0), (Some(50), false, false));
        assert_eq!(verdict(10.0), (Some(100), true, false));
        assert_eq!(verdict(11.0), (Some(110), true, true));
        monitor.credit_quota = None;
        assert_eq!(judge(&monitor, now, |_| 1e9).notify, None);
        monitor.end_time = Some(now);
        assert!(judge(&monitor, now, |_| 0.0).suspend);
    }
}
