//! SHOW TRANSACTIONS and SHOW LOCKS.

use frazil_common::Privilege;
use frazil_dialect::ShowScope;

use super::{INSTANT, Lister, Listing, TEXT};
use crate::session::transactions::TransactionInfo;
use crate::statements::outcome::{COUNT, Cell};
use crate::statements::transaction::{COLUMNS, cells};

/// Whether the listing may tell of a transaction: one's own, and with IN ACCOUNT, for those who
/// monitor the account, everybody's.
fn concerns(lister: &Lister<'_>, transaction: &TransactionInfo) -> bool {
    let context = lister.context;
    let all = matches!(lister.show.scope, Some(ShowScope::Account))
        && context.model.has_global(&context.roles, Privilege::Monitor);
    all || transaction.user == context.session.user
}

pub(super) fn transactions(lister: &Lister<'_>) -> Listing {
    let columns = [&COLUMNS[..], &[("scope", COUNT)]].concat();
    let mut listing = Listing::new(columns, "name");
    let all = lister.context.shared.transactions.list();
    for transaction in all.into_iter().filter(|transaction| concerns(lister, transaction)) {
        let mut row = cells(transaction, "running");
        row.push(Cell::Number(0));
        listing.rows.push(row);
    }
    listing
}

pub(super) fn locks(lister: &Lister<'_>) -> Listing {
    let columns = vec![
        ("resource", TEXT),
        ("type", TEXT),
        ("transaction", COUNT),
        ("transaction_started_on", INSTANT),
        ("status", TEXT),
        ("acquired_on", INSTANT),
        ("query_id", TEXT),
        ("session", COUNT),
    ];
    let mut listing = Listing::new(columns, "resource");
    let all = lister.context.shared.transactions.locks();
    for lock in all.into_iter().filter(|lock| concerns(lister, &lock.transaction)) {
        listing.rows.push(vec![
            Cell::from(lock.table),
            Cell::from("PARTITIONS"),
            Cell::Number(lock.transaction.id),
            Cell::Instant(lock.transaction.started_micros),
            Cell::from(if lock.acquired_micros.is_some() { "HOLDING" } else { "WAITING" }),
            lock.acquired_micros.map_or(Cell::Null, Cell::Instant),
            Cell::from(lock.query_id),
            Cell::Number(lock.transaction.session_id),
        ]);
    }
    listing
}
