//! Times one-row commits: `commits DIR [COMMITS] [WRITERS]`.
//!
//! Prints the time of an fsync of the disk, then percentiles of the first and the last commits of
//! one writer, then the rate of one and of several writers, while upkeep runs beside them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::{Float64Array, Int64Array, RecordBatch, StringViewArray};
use datafusion::arrow::datatypes::Schema;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use frazil_catalog::{Catalog, ColumnInfo, TableInfo, TableKind};
use frazil_common::{QualifiedName, SqlType};
use frazil_lake::{CommitMeta, Lake, LakeSettings, NewTable};

fn columns() -> Vec<ColumnInfo> {
    vec![
        ColumnInfo::new("ID", SqlType::Number { precision: 18, scale: 0 }, false),
        ColumnInfo::new("NAME", SqlType::TEXT, true),
        ColumnInfo::new("X", SqlType::Float, true),
    ]
}

fn row(id: i64) -> SendableRecordBatchStream {
    let fields: Vec<_> = columns().iter().map(|c| c.to_column().to_field()).collect();
    let batch = RecordBatch::try_new(
        Arc::new(Schema::new(fields)),
        vec![
            Arc::new(Int64Array::from(vec![id])),
            Arc::new(StringViewArray::from(vec![format!("name {id}")])),
            Arc::new(Float64Array::from(vec![id as f64])),
        ],
    )
    .unwrap();
    Box::pin(RecordBatchStreamAdapter::new(batch.schema(), futures::stream::iter([Ok(batch)])))
}

async fn commit_row(lake: &Lake, table: &Arc<TableInfo>, writer: i64, id: i64) -> Duration {
    let start = Instant::now();
    let mut t = lake.begin(writer).await.unwrap();
    // As a statement does: it looks at the table's rows first.
    t.table_version(table).await.unwrap();
    t.append(table, row(id)).await.unwrap();
    let query_id = Some(format!("q{writer}-{id}"));
    t.commit(CommitMeta { query_id, ..CommitMeta::default() }).await.unwrap();
    start.elapsed()
}

fn shown(what: &str, times: &[Duration]) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = |part: f64| sorted[((sorted.len() - 1) as f64 * part) as usize].as_secs_f64() * 1e3;
    println!("{what}: p50 {:.2} ms, p95 {:.2} ms, max {:.2} ms", at(0.5), at(0.95), at(1.0));
}

fn fsync(dir: &std::path::Path) {
    let mut file = std::fs::File::create(dir.join("fsync")).unwrap();
    let mut times = Vec::new();
    for _ in 0..200 {
        file.write_all(&[7; 4096]).unwrap();
        let start = Instant::now();
        file.sync_data().unwrap();
        times.push(start.elapsed());
    }
    shown("fsync of 4 KiB", &times);
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let dir = PathBuf::from(arguments.get(1).expect("a folder"));
    let commits: i64 = arguments.get(2).map_or(2000, |n| n.parse().unwrap());
    let writers: i64 = arguments.get(3).map_or(8, |n| n.parse().unwrap());
    std::fs::create_dir_all(&dir).unwrap();
    fsync(&dir);
    let catalog = Catalog::open(&dir.join("catalog.sqlite")).await.unwrap();
    let lake = Lake::open(catalog, &dir, LakeSettings::default()).await.unwrap();
    let name = QualifiedName::new("D", "S", "T");
    let mut t = lake.begin(1).await.unwrap();
    t.create_database("D", false, None, None).unwrap();
    t.create_schema("D", "S", false, None, None).unwrap();
    let new = NewTable {
        name: name.clone(),
        columns: columns(),
        kind: TableKind::Permanent,
        comment: None,
        cluster_by: None,
        retention_days: None,
        change_tracking: false,
    };
    t.create_table(new).await.unwrap();
    t.commit(CommitMeta::default()).await.unwrap();
    let table = lake.view().await.unwrap().table(&name).cloned().unwrap();
    let upkeep = {
        let lake = lake.clone();
        tokio::spawn(async move {
            loop {
                let report = lake.tidy().await.unwrap();
                if report.flushed_tables + report.merged_tables > 0 {
                    println!("upkeep: {report:?}");
                }
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_secs(5)) => {}
                    () = lake.many_inlined() => {}
                }
            }
        })
    };
    let start = Instant::now();
    let mut times = Vec::new();
    for id in 0..commits {
        times.push(commit_row(&lake, &table, 1, id).await);
    }
    let rate = commits as f64 / start.elapsed().as_secs_f64();
    let tenth = (times.len() / 10).max(1);
    shown("first tenth", &times[..tenth]);
    shown("last tenth", &times[times.len() - tenth..]);
    println!("1 writer: {rate:.0} commits/s");
    let start = Instant::now();
    let each = (commits / 4).max(1);
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (lake, table) = (lake.clone(), Arc::clone(&table));
            tokio::spawn(async move {
                for id in 0..each {
                    commit_row(&lake, &table, 2 + writer, id).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let many = (writers * each) as f64 / start.elapsed().as_secs_f64();
    println!("{writers} writers: {many:.0} commits/s, {:.1} times one", many / rate);
    upkeep.abort();
    let version = lake.table_version_at(&name, lake.catalog().head().await.unwrap()).await.unwrap();
    assert_eq!(version.row_count() as i64, commits + writers * each);
}
