//! What a folder takes on disk.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A file's blocks are counted in these, whatever the file system's are. In bytes.
const BLOCK_BYTES: u64 = 512;

/// After a folder was walked through, it is not for this many times as long as that took: large ones cost a tenth of a
/// core at most.
const REST: u32 = 9;

/// What a folder takes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    pub bytes: u64,
    pub files: u64,
}

/// Measures one folder again and again.
#[derive(Debug, Default)]
pub struct Disk {
    last: Taken,
    /// When it ended, and how long it took.
    walked: Option<(Instant, Duration)>,
}

impl Disk {
    /// As it is, or as it was a short time ago. Counts no further when there are more than `files_max`.
    pub fn measure(&mut self, folder: &Path, files_max: Option<u64>) -> Taken {
        if self.walked.is_none_or(|(ended, took)| ended.elapsed() >= took * REST) {
            let began = Instant::now();
            self.last = measure(folder, files_max.unwrap_or(u64::MAX));
            self.walked = Some((Instant::now(), began.elapsed()));
        }
        self.last
    }
}

/// What cannot be read is not counted; links are not followed.
fn measure(folder: &Path, files_max: u64) -> Taken {
    let mut taken = Taken::default();
    let mut linked = HashSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else { continue };
            taken.files += 1;
            if taken.files > files_max {
                return taken;
            }
            if is_first_name(&metadata, &mut linked) {
                taken.bytes += metadata.blocks() * BLOCK_BYTES;
            }
            if metadata.is_dir() {
                folders.push(entry.path());
            }
        }
    }
    taken
}

/// A file that has several names takes its place once.
fn is_first_name(metadata: &Metadata, linked: &mut HashSet<u64>) -> bool {
    metadata.is_dir() || metadata.nlink() == 1 || linked.insert(metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_count_once_however_many_names_they_have() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join("file"), vec![1; 100_000]).unwrap();
        fs::hard_link(below.join("file"), folder.path().join("again")).unwrap();
        std::os::unix::fs::symlink("/", below.join("root")).unwrap();
        let taken = measure(folder.path(), u64::MAX);
        assert_eq!(taken.files, 5);
        assert!((100_000..200_000).contains(&taken.bytes), "{taken:?}");
    }

    #[test]
    fn counting_ends_when_there_are_too_many() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..10 {
            fs::write(folder.path().join(number.to_string()), "").unwrap();
        }
        assert_eq!(measure(folder.path(), 3).files, 4);
        assert_eq!(measure(&folder.path().join("nowhere"), 3), Taken::default());
    }
}
