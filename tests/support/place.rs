//! A folder in which a test writes a job, runs it, and looks at what it has left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::processes::windrow;

/// A folder for one test.
pub struct Place(TempDir);

impl Default for Place {
    fn default() -> Self {
        Place::new()
    }
}

impl Place {
    pub fn new() -> Place {
        Place(TempDir::new().expect("a temporary folder"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) -> &Place {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is made");
        fs::write(path, text).expect("the file is written");
        self
    }

    /// A program that the job ships.
    pub fn program(&self, name: &str, text: &str) -> &Place {
        self.write(name, text);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path().join(name), mode).expect("it is made executable");
        self
    }

    pub fn windrow(&self, words: &[&str]) -> Output {
        let mut command = Command::new(windrow());
        // What programs leave behind is looked for here.
        command.env("TMPDIR", self.path().join("tmp")).args(words).current_dir(self.path());
        fs::create_dir_all(self.path().join("tmp")).expect("the folder is made");
        command.output().expect("windrow runs")
    }

    pub fn succeeds(&self, words: &[&str]) {
        let output = self.windrow(words);
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// The error of a job that fails.
    pub fn fails(&self, words: &[&str]) -> String {
        let output = self.windrow(words);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{words:?} succeeded: {error}");
        error
    }

    /// The lines of each file of an output, in the order of the files' names.
    pub fn files(&self, folder: &str) -> Vec<Vec<String>> {
        let entries = fs::read_dir(self.path().join(folder)).expect("the output is there");
        let names = entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
        let mut names: Vec<_> = names.collect();
        names.sort();
        let lines = |path| fs::read_to_string(path).expect("a text file").lines().map(str::to_owned).collect();
        names.into_iter().map(lines).collect()
    }

    pub fn sorted(&self, folder: &str) -> Vec<String> {
        let mut lines = self.files(folder).concat();
        lines.sort();
        lines
    }

    /// Nothing of a job is left in the workers' folders.
    pub fn is_swept(&self) {
        let left: Vec<_> = fs::read_dir(self.path().join("tmp")).expect("the folder is there").collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }
}

/// Processes whose command line has `words` in it.
pub fn running(words: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("there are processes").flatten();
    let lines = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(words)).collect()
}
