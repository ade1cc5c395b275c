//! SHOW RESOURCE MONITORS.

use frazil_catalog::account::{MonitorAction, MonitorFrequency, ObjectFilter, ResourceMonitor};
use frazil_common::UserError;

use super::{INSTANT, Lister, Listing, TEXT};
use crate::statements::outcome::Cell;
use crate::warehouses::monitor_object;

/// The percentages of the triggers of a kind, such as `75%,90%`.
fn percents(monitor: &ResourceMonitor, action: MonitorAction) -> Cell {
    let percents: Vec<String> = monitor
        .triggers
        .iter()
        .filter(|trigger| trigger.action == action)
        .map(|trigger| format!("{}%", trigger.percent))
        .collect();
    if percents.is_empty() { Cell::Null } else { Cell::from(percents.join(",")) }
}

fn frequency(frequency: MonitorFrequency) -> &'static str {
    match frequency {
        MonitorFrequency::Monthly => "MONTHLY",
        MonitorFrequency::Daily => "DAILY",
        MonitorFrequency::Weekly => "WEEKLY",
        MonitorFrequency::Yearly => "YEARLY",
        MonitorFrequency::Never => "NEVER",
    }
}

pub(super) async fn resource_monitors(lister: &Lister<'_>) -> Result<Listing, UserError> {
    let columns = vec![
        ("name", TEXT),
        ("credit_quota", TEXT),
        ("used_credits", TEXT),
        ("remaining_credits", TEXT),
        ("level", TEXT),
        ("frequency", TEXT),
        ("start_time", INSTANT),
        ("end_time", INSTANT),
        ("notify_at", TEXT),
        ("suspend_at", TEXT),
        ("suspend_immediately_at", TEXT),
        ("created_on", INSTANT),
        ("owner", TEXT),
        ("comment", TEXT),
        ("notify_users", TEXT),
    ];
    let mut listing = Listing::new(columns, "name");
    let context = lister.context;
    let warehouses = &context.shared.warehouses;
    let all = context.shared.accounts.objects::<ResourceMonitor>(ObjectFilter::default()).await?;
    for monitor in all {
        if !context.sees(&monitor_object(&monitor), &[]) {
            continue;
        }
        let body = &monitor.body;
        let used = warehouses.credits_under(&monitor);
        let left = body.credit_quota.map(|quota| (quota as f64 - used).max(0.0));
        let credits = |credits: f64| format!("{credits:.2}");
        listing.rows.push(vec![
            Cell::from(monitor.name.as_str()),
            Cell::from(body.credit_quota.map(|quota| credits(quota as f64))),
            Cell::from(credits(used)),
            Cell::from(left.map(credits)),
            Cell::from(warehouses.level_of(monitor.id)),
            Cell::from(frequency(body.frequency)),
            Cell::Instant(body.start_time),
            body.end_time.map_or(Cell::Null, Cell::Instant),
            percents(body, MonitorAction::Notify),
            percents(body, MonitorAction::Suspend),
            percents(body, MonitorAction::SuspendImmediate),
            Cell::Instant(monitor.created_on),
            Cell::from(monitor.owner.clone().unwrap_or_default()),
            Cell::from(monitor.comment.clone().unwrap_or_default()),
            Cell::from(body.notify_users.join(", ")),
        ]);
    }
    Ok(listing)
}
