//! Files that operators spill to, and the limit of their bytes together. DataFusion's own count keeps what
//! a full disk did not take for ever, so these are counted here.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use datafusion::common::Result;
use datafusion::execution::disk_manager::{DiskManager, DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::{SpillFile, SpillWriter, TempFileFactory};
use futures::Stream;

/// How the error begins when the limit is reached: writers of files give no error type of their own.
pub(crate) const SPILL_FULL: &str = "the bytes of all spill files have reached their limit";

/// Bytes of all spill files there are.
#[derive(Debug)]
pub(crate) struct SpilledBytes {
    limit: u64,
    used: AtomicU64,
}

impl SpilledBytes {
    pub fn new(limit: u64) -> SpilledBytes {
        SpilledBytes { limit, used: AtomicU64::new(0) }
    }

    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    fn add(&self, bytes: u64) -> io::Result<()> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.limit {
            self.give_back(bytes);
            return Err(io::Error::other(SPILL_FULL));
        }
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// Makes spill files below a folder.
pub(crate) struct SpillFiles {
    /// Makes the files and names them; its own limit is never reached.
    disk: Arc<DiskManager>,
    all: Arc<SpilledBytes>,
}

impl SpillFiles {
    pub fn new(folder: PathBuf, all: Arc<SpilledBytes>) -> Result<SpillFiles> {
        let disk = DiskManagerBuilder::default()
            .with_max_temp_directory_size(u64::MAX)
            .with_mode(DiskManagerMode::Directories(vec![folder]))
            .build()?;
        Ok(SpillFiles { disk: Arc::new(disk), all })
    }
}

impl TempFileFactory for SpillFiles {
    fn create_temp_file(&self, description: &str) -> Result<Arc<dyn SpillFile>> {
        let file = self.disk.create_tmp_file(description)?;
        let bytes = Arc::new(FileBytes { own: AtomicU64::new(0), all: self.all.clone() });
        Ok(Arc::new(CountedFile { file, bytes }))
    }
}

/// Bytes of one file, given back with it.
#[derive(Debug)]
struct FileBytes {
    own: AtomicU64,
    all: Arc<SpilledBytes>,
}

impl Drop for FileBytes {
    fn drop(&mut self) {
        self.all.give_back(self.own.load(Ordering::Relaxed));
    }
}

struct CountedFile {
    file: Arc<dyn SpillFile>,
    bytes: Arc<FileBytes>,
}

impl SpillFile for CountedFile {
    fn path(&self) -> Option<&Path> {
        self.file.path()
    }

    fn size(&self) -> Option<u64> {
        self.file.size()
    }

    fn read_stream(&self) -> Result<Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>> {
        self.file.read_stream()
    }

    fn open_writer(&self) -> Result<Box<dyn SpillWriter>> {
        let writer = self.file.open_writer()?;
        Ok(Box::new(CountedWriter { writer, bytes: self.bytes.clone() }))
    }
}

struct CountedWriter {
    writer: Box<dyn SpillWriter>,
    bytes: Arc<FileBytes>,
}

impl Write for CountedWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len() as u64;
        self.bytes.all.add(count)?;
        match self.writer.write_all(bytes) {
            Ok(()) => {
                self.bytes.own.fetch_add(count, Ordering::Relaxed);
                Ok(bytes.len())
            }
            Err(error) => {
                // A part may be on the disk; it goes with the statement's files.
                self.bytes.all.give_back(count);
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl SpillWriter for CountedWriter {
    fn finish(&mut self) -> Result<()> {
        self.writer.finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A disk that takes so many bytes.
    struct Full(usize);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(self.0);
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl SpillWriter for Full {
        fn finish(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_that_a_full_disk_did_not_take_are_given_back() {
        let all = Arc::new(SpilledBytes::new(1000));
        let bytes = Arc::new(FileBytes { own: AtomicU64::new(0), all: all.clone() });
        let mut writer = CountedWriter { writer: Box::new(Full(150)), bytes };
        writer.write_all(&[0; 100]).unwrap();
        for _ in 0..20 {
            let error = writer.write_all(&[0; 100]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        }
        assert_eq!(all.used(), 100);
        drop(writer);
        assert_eq!(all.used(), 0);
    }

    #[tokio::test]
    async fn files_are_counted_up_to_the_limit_and_until_they_go() {
        let folder = tempfile::tempdir().unwrap();
        let all = Arc::new(SpilledBytes::new(250));
        let files = SpillFiles::new(folder.path().join("spill"), all.clone()).unwrap();
        let (one, two) =
            (files.create_temp_file("a").unwrap(), files.create_temp_file("b").unwrap());
        let mut writer = one.open_writer().unwrap();
        writer.write_all(&[7; 200]).unwrap();
        writer.finish().unwrap();
        drop(writer);
        assert_eq!((all.used(), one.size()), (200, Some(200)));
        let mut other = two.open_writer().unwrap();
        let error = other.write_all(&[7; 100]).unwrap_err();
        assert!(error.to_string().contains(SPILL_FULL), "{error}");
        assert_eq!(all.used(), 200);
        drop(one);
        other.write_all(&[7; 100]).unwrap();
        assert_eq!(all.used(), 100);
        drop((two, other));
        assert_eq!(all.used(), 0);
    }
}
