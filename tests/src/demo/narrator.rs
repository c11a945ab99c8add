//! Telling the story: headings, the commands a person would type, what they print, what was measured.

use crate::ground::Failed;
use std::{
    io::Write as _,
    process::{Command, Output},
    time::{Duration, Instant},
};

/// Tells the story on standard output.
#[derive(Debug, Default)]
pub struct Narrator {
    chapter: u32,
}

impl Narrator {
    fn put(text: &str) {
        if let Err(error) = writeln!(anstream::stdout(), "{text}")
            && error.kind() == std::io::ErrorKind::BrokenPipe
        {
            std::process::exit(0);
        }
    }

    /// Begins a chapter.
    pub fn chapter(&mut self, title: &str) {
        self.chapter = self.chapter.saturating_add(1);
        Self::put(&format!("\n{}. {title}", self.chapter));
    }

    /// Says one thing.
    pub fn say(&self, text: &str) {
        for line in text.lines() {
            Self::put(&format!("   {line}"));
        }
    }

    /// Says what was measured: how many, how long, and the rate.
    pub fn measured(&self, what: &str, count: usize, took: Duration) {
        let seconds = took.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "counts of a demo fit a double exactly")]
        let rate = count as f64 / seconds;
        let decimals = usize::from(rate < 10.0);
        self.say(&format!("measured: {what}: n = {count} in {seconds:.3} s ({rate:.decimals$}/s)"));
    }

    /// Shows a command as a person would type it.
    pub fn command(&self, command: &Command) {
        self.say(&typed(command));
    }

    /// Shows a command that goes on in the background.
    pub fn background(&self, command: &Command) {
        self.say(&format!("{} &", typed(command)));
    }

    /// Shows and runs a command that must succeed, and all that it says.
    ///
    /// # Errors
    /// [`Failed`] with what it said.
    pub fn tell(&self, command: &mut Command) -> Result<(), Failed> {
        let (output, _) = self.try_run(command)?;
        if !output.status.success() {
            return Err(Failed(format!("the command above failed: {}", crate::ground::text(&output))));
        }
        let both = [output.stderr, output.stdout].concat();
        self.say(String::from_utf8_lossy(&both).trim_end());
        Ok(())
    }

    /// Shows and runs a command that must succeed; gives its output and how long it took.
    ///
    /// # Errors
    /// [`Failed`] with what it said.
    pub fn run(&self, command: &mut Command) -> Result<(String, Duration), Failed> {
        let (output, took) = self.try_run(command)?;
        if output.status.success() {
            return Ok((String::from_utf8_lossy(&output.stdout).into_owned(), took));
        }
        Err(Failed(format!("the command above failed: {}", crate::ground::text(&output))))
    }

    /// Shows and runs a command that must end with `code` because it waits for people; shows and gives what it says.
    ///
    /// # Errors
    /// [`Failed`] when it ends otherwise.
    pub fn waits(&self, command: &mut Command, code: i32) -> Result<String, Failed> {
        let (said, notes, _) = self.ends(command, code)?;
        let said = said.trim_end().to_owned();
        self.say(&said);
        self.say(notes.lines().next().unwrap_or_default());
        self.say(&format!("it waits for people, exit code {code}"));
        Ok(said)
    }

    /// Shows and runs a command that must be refused with `code`; shows the reason it gives.
    ///
    /// # Errors
    /// [`Failed`] when it is not refused, or otherwise.
    pub fn refused(&self, command: &mut Command, code: i32) -> Result<(), Failed> {
        let (said, notes, _) = self.ends(command, code)?;
        self.say(format!("{said}{notes}").trim_end());
        self.say(&format!("refused, exit code {code}"));
        Ok(())
    }

    /// Shows and runs a command that must end with `code`; gives what it says on both outputs, of which the caller shows
    /// what the story needs, and how long it took.
    ///
    /// # Errors
    /// [`Failed`] when it ends otherwise.
    pub fn ends(&self, command: &mut Command, code: i32) -> Result<(String, String, Duration), Failed> {
        let (output, took) = self.try_run(command)?;
        if output.status.code() != Some(code) {
            let text = crate::ground::text(&output);
            return Err(Failed(format!("the command above must end with exit code {code}: {text}")));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok((text(&output.stdout), text(&output.stderr), took))
    }

    fn try_run(&self, command: &mut Command) -> Result<(Output, Duration), Failed> {
        self.command(command);
        let began = Instant::now();
        let output = command.output().map_err(|error| Failed(format!("{error}")))?;
        Ok((output, began.elapsed()))
    }
}

/// `$ program arguments`, with paths below this folder shortened.
fn typed(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or_default().to_owned();
    let words = command.get_args().map(|word| {
        let word = word.to_string_lossy();
        let short = std::env::current_dir()
            .ok()
            .and_then(|here| word.strip_prefix(&format!("{}/", here.display())).map(str::to_owned));
        let word = short.unwrap_or_else(|| word.into_owned());
        if word.contains(' ') { format!("\"{word}\"") } else { word }
    });
    format!("$ {program} {}", words.collect::<Vec<_>>().join(" "))
}
