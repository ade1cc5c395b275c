//! Credits, events and load of warehouses.

use std::collections::BTreeMap;

use frazil_catalog::account::MeteredTime;
use frazil_common::{SqlType, UserError};

use super::activity::each_query;
use super::{CREDITS, INSTANT, NUMBER, Source, TEXT, Table, credits};
use crate::statements::outcome::Cell;

const SECOND: i64 = 1_000_000;
pub(crate) const HOUR: i64 = 3600 * SECOND;
const DAY: i64 = 24 * HOUR;
/// WAREHOUSE_LOAD_HISTORY tells of five minutes at a time.
const LOAD_INTERVAL: i64 = 300 * SECOND;

async fn metered(source: &Source<'_>) -> Result<Vec<MeteredTime>, UserError> {
    let shared = &source.context.shared;
    shared.warehouses.save().await?;
    Ok(shared.accounts.metered_times(i64::MIN).await?)
}

/// The name and credits of warehouses by hour and id.
pub(crate) fn hours(times: Vec<MeteredTime>) -> BTreeMap<(i64, i64), (String, f64)> {
    let mut hours: BTreeMap<(i64, i64), (String, f64)> = BTreeMap::new();
    for time in times {
        let hour = time.start_time.div_euclid(HOUR) * HOUR;
        let used = hours.entry((hour, time.warehouse_id)).or_default();
        used.0 = time.warehouse_name;
        used.1 += time.credits;
    }
    hours
}

pub(super) async fn metering_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("SERVICE_TYPE", TEXT),
        ("START_TIME", INSTANT),
        ("END_TIME", INSTANT),
        ("ENTITY_ID", NUMBER),
        ("NAME", TEXT),
        ("CREDITS_USED_COMPUTE", CREDITS),
        ("CREDITS_USED_CLOUD_SERVICES", CREDITS),
        ("CREDITS_USED", CREDITS),
    ];
    let mut table = Table::new(source.context, "METERING_HISTORY", &columns);
    for ((hour, id), (name, used)) in hours(metered(source).await?) {
        table.push(vec![
            Cell::from("WAREHOUSE_METERING"),
            Cell::Instant(hour),
            Cell::Instant(hour + HOUR),
            Cell::Number(id),
            Cell::from(name),
            credits(used),
            credits(0.0),
            credits(used),
        ])?;
    }
    Ok(table)
}

pub(super) async fn warehouse_metering_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("START_TIME", INSTANT),
        ("END_TIME", INSTANT),
        ("WAREHOUSE_ID", NUMBER),
        ("WAREHOUSE_NAME", TEXT),
        ("CREDITS_USED", CREDITS),
        ("CREDITS_USED_COMPUTE", CREDITS),
        ("CREDITS_USED_CLOUD_SERVICES", CREDITS),
    ];
    let mut table = Table::new(source.context, "WAREHOUSE_METERING_HISTORY", &columns);
    let hours = hours(metered(source).await?);
    for ((hour, id), (name, used)) in hours {
        table.push(vec![
            Cell::Instant(hour),
            Cell::Instant(hour + HOUR),
            Cell::Number(id),
            Cell::from(name),
            credits(used),
            credits(used),
            credits(0.0),
        ])?;
    }
    Ok(table)
}

pub(super) async fn metering_daily_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("SERVICE_TYPE", TEXT),
        ("USAGE_DATE", SqlType::Date),
        ("CREDITS_USED_COMPUTE", CREDITS),
        ("CREDITS_USED_CLOUD_SERVICES", CREDITS),
        ("CREDITS_USED", CREDITS),
        ("CREDITS_ADJUSTMENT_CLOUD_SERVICES", CREDITS),
        ("CREDITS_BILLED", CREDITS),
    ];
    let mut table = Table::new(source.context, "METERING_DAILY_HISTORY", &columns);
    let mut days: BTreeMap<i64, f64> = BTreeMap::new();
    for time in metered(source).await? {
        *days.entry(time.start_time.div_euclid(DAY)).or_default() += time.credits;
    }
    for (day, used) in days {
        table.push(vec![
            Cell::from("WAREHOUSE_METERING"),
            Cell::Date(i32::try_from(day).map_err(UserError::internal)?),
            credits(used),
            credits(0.0),
            credits(used),
            credits(0.0),
            credits(used),
        ])?;
    }
    Ok(table)
}

pub(super) async fn warehouse_events_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("TIMESTAMP", INSTANT),
        ("WAREHOUSE_ID", NUMBER),
        ("WAREHOUSE_NAME", TEXT),
        ("CLUSTER_NUMBER", NUMBER),
        ("EVENT_NAME", TEXT),
        ("EVENT_REASON", TEXT),
        ("EVENT_STATE", TEXT),
        ("USER_NAME", TEXT),
        ("ROLE_NAME", TEXT),
        ("QUERY_ID", TEXT),
        ("SIZE", TEXT),
        ("CLUSTER_COUNT", NUMBER),
    ];
    let mut table = Table::new(source.context, "WAREHOUSE_EVENTS_HISTORY", &columns);
    for event in source.context.shared.accounts.warehouse_events(i64::MIN).await? {
        table.push(vec![
            Cell::Instant(event.event_time),
            Cell::Number(event.warehouse_id),
            Cell::from(event.warehouse_name),
            Cell::Number(1),
            Cell::from(event.event_name),
            Cell::from(event.event_reason),
            Cell::from("COMPLETED"),
            Cell::from(event.user),
            Cell::from(event.role),
            Cell::from(event.query_id),
            Cell::from(event.size),
            Cell::Number(1),
        ])?;
    }
    Ok(table)
}

/// Microseconds of statements in one interval: at work, and in the line.
#[derive(Debug, Default, Clone, PartialEq)]
struct Load {
    warehouse: String,
    running: i64,
    queued: i64,
}

/// The parts of a stretch of time that lie in each interval it touches.
fn spread(from: i64, to: i64) -> impl Iterator<Item = (i64, i64)> {
    let first = from.div_euclid(LOAD_INTERVAL) * LOAD_INTERVAL;
    let starts = (first..to).step_by(LOAD_INTERVAL as usize);
    starts.map(move |start| (start, to.min(start + LOAD_INTERVAL) - from.max(start)))
}

pub(super) async fn warehouse_load_history(source: &Source<'_>) -> Result<Table, UserError> {
    let columns = [
        ("START_TIME", INSTANT),
        ("END_TIME", INSTANT),
        ("WAREHOUSE_ID", NUMBER),
        ("WAREHOUSE_NAME", TEXT),
        ("AVG_RUNNING", CREDITS),
        ("AVG_QUEUED_LOAD", CREDITS),
        ("AVG_QUEUED_PROVISIONING", CREDITS),
        ("AVG_BLOCKED", CREDITS),
    ];
    let mut loads: BTreeMap<(i64, i64), Load> = BTreeMap::new();
    each_query(source, |record| {
        let Some(detail) = record.detail else { return Ok(()) };
        let (Some(id), Some(name)) = (detail.warehouse_id, record.warehouse) else {
            return Ok(());
        };
        let began = record.start_time + detail.queued;
        for (start, time) in spread(record.start_time, began) {
            let load = loads.entry((start, id)).or_default();
            load.warehouse.clone_from(&name);
            load.queued += time;
        }
        for (start, time) in spread(began, record.end_time) {
            let load = loads.entry((start, id)).or_default();
            load.warehouse.clone_from(&name);
            load.running += time;
        }
        Ok(())
    })
    .await?;
    let mut table = Table::new(source.context, "WAREHOUSE_LOAD_HISTORY", &columns);
    let average = |time: i64| credits(time as f64 / LOAD_INTERVAL as f64);
    for ((start, id), load) in loads {
        table.push(vec![
            Cell::Instant(start),
            Cell::Instant(start + LOAD_INTERVAL),
            Cell::Number(id),
            Cell::from(load.warehouse),
            average(load.running),
            average(load.queued),
            average(0),
            average(0),
        ])?;
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_spread_over_the_intervals() {
        let minute = 60 * SECOND;
        let parts: Vec<_> = spread(4 * minute, 11 * minute).collect();
        assert_eq!(parts, [(0, minute), (5 * minute, 5 * minute), (10 * minute, minute)]);
        assert_eq!(spread(5 * minute, 5 * minute).count(), 0);
        assert_eq!(spread(0, LOAD_INTERVAL).collect::<Vec<_>>(), [(0, LOAD_INTERVAL)]);
    }
}
