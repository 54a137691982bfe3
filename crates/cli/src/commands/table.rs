//! `table`: every built-in model, vanilla next to shuffled, next to what theory and the paper say.

use std::fmt::Write;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use vit::{Config, Level};

use crate::flags::{LevelArgs, OutputArgs, SettingArgs};
use crate::outcome::Outcome;
use crate::report::{Align, Report, Table, print};
use crate::stats::{millis_since, min};
use crate::text::{grouped, millis};
use crate::theory::{Layers, Parts, counted_layer, shuffled};
use crate::threads::{Runner, Threads};
use crate::timing::{WARM_UP_CALLS, paint};
use crate::{buffer, diagnostics, models};

#[derive(Debug, Args)]
#[command(after_help = "\
Multiply-accumulates are those of matrix products for one image, on all tokens, also those whose computation is skipped. \
In the formulas of theory N is tokens, C the channels that a layer computes on, r the MLP ratio: a layer costs \
(4+2r) N C^2 + 2 N^2 C; with the module, at a total of T = 2C channels, (4+2r) N T^2 / 4 + N^2 T. Where attention sees \
windows, N^2 is N times the window's tokens (keys).

Examples:
  shuffle-vit table
  shuffle-vit table --time
  shuffle-vit table --json

JSON: [{\"name\", \"params\", \"macs\"}]; with --time also \"ms\".")]
pub(crate) struct TableArgs {
    /// Also time every model with random weights, one image on one thread: half a minute or so
    #[arg(long)]
    pub time: bool,

    #[command(flatten)]
    pub level: LevelArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

/// What the paper (arXiv 2310.05642) says of a model and its shuffled version.
#[rustfmt::skip]
const CLAIMS: [(&str, &str); 4] = [
    ("deit_tiny", "about 1.25 G MACs, the module adds 0.03 G (2 %); top-1 72.2 -> 74.4"),
    ("deit_small", "without the module 7.7 points of top-1 above DeiT-Tiny"),
    ("swin_extra_tiny", "1.1 -> 1.0 G MACs; top-1 up to +2.8 (abstract) or +3.0 (text); 2.8 points above EdgeNeXt-XS"),
    ("swin_tiny", "4.5 -> 4.3 G MACs, 28.8 M parameters; top-1 80.8 -> slightly above"),
];

/// Calls of each model that are timed, in turns with its pair's, so that both meet the same clock and neighbours.
const TIMED_CALLS: usize = 9;

#[derive(Serialize)]
#[serde(transparent)]
struct Models {
    models: Vec<Entry>,
    #[serde(skip)]
    level: Level,
}

#[derive(Debug, Serialize)]
struct Entry {
    name: String,
    params: u64,
    macs: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ms: Option<f64>,
    #[serde(skip)]
    config: Config,
}

pub(crate) fn execute(args: &TableArgs) -> Result<Outcome> {
    let mut models = Models::counted(args.level.level)?;
    if args.time {
        models.time()?;
    }
    print(&models, args.output.json)?;
    Ok(Outcome::Complete)
}

impl Models {
    /// All built-in models, each vanilla one followed by its shuffled version.
    fn counted(level: Level) -> Result<Self> {
        let vanilla = Config::names().iter().filter(|name| !name.starts_with("shuffle_"));
        let pairs = vanilla.flat_map(|name| [(*name).into(), shuffled(name)]);
        let models = pairs.map(Entry::counted).collect::<Result<_>>()?;
        Ok(Self { models, level })
    }

    fn pairs(&self) -> impl Iterator<Item = [&Entry; 2]> {
        self.models.as_chunks().0.iter().map(|[vanilla, shuffled]| [vanilla, shuffled])
    }

    /// Times every model, a pair at a time.
    fn time(&mut self) -> Result<()> {
        let progress = diagnostics::progress(self.models.len() / 2, "pairs");
        for pair in self.models.as_chunks_mut::<2>().0 {
            let random = |name| models::random(models::describe(name, &SettingArgs::default())?);
            let models = [random(&pair[0].name)?, random(&pair[1].name)?];
            let ms = time_in_turns(models.each_ref().map(|named| named.model.model()), self.level)?;
            pair[0].ms = Some(ms[0]);
            pair[1].ms = Some(ms[1]);
            progress.inc(1);
        }
        progress.finish_and_clear();
        Ok(())
    }
}

impl Entry {
    fn counted(name: String) -> Result<Self> {
        let config = weights::named(&name)?;
        Ok(Self { params: config.params(), macs: config.macs(), ms: None, config, name })
    }
}

/// The milliseconds of each model's fastest call on one thread, one image a call: what else runs on the machine only ever
/// makes a call slower, and would blur the ratio of two models.
fn time_in_turns<const N: usize>(models: [vit::Model; N], level: Level) -> Result<[f64; N]> {
    let thread = Threads::new(1)?;
    let mut runs = Vec::new();
    for model in models {
        let config = *model.config();
        let mut image = buffer::zeroed(config.image_len(), "the image")?;
        paint(&mut image);
        let logits = buffer::zeroed(config.outputs(), "the logits")?;
        runs.push((Runner::new(model, level, &thread)?, image, logits));
    }
    let mut samples = [const { Vec::new() }; N];
    for call in 0..WARM_UP_CALLS as usize + TIMED_CALLS {
        for ((runner, image, logits), samples) in runs.iter_mut().zip(&mut samples) {
            let start = Instant::now();
            runner.run(image, logits)?;
            if call >= WARM_UP_CALLS as usize {
                samples.push(millis_since(start));
            }
        }
    }
    Ok(samples.map(|samples| min(&samples)))
}

impl Report for Models {
    fn text(&self) -> String {
        let mut text = format!("Parameters and multiply-accumulates (MACs) of one image, counted\n\n{}", self.totals());
        if let Some(times) = self.times() {
            let _ = write!(
                text,
                "\nTime of one image on one thread, {} ({TIMED_CALLS} calls in turns, the fastest)\n\n{times}",
                self.level
            );
        }
        let _ = write!(
            text,
            "\nWhat the module adds in MACs: theory by part, its sum, and what is counted (Swin gives up a layer of stage 3)\n\n{}\
             \nMACs of one layer: vanilla with C channels, with the module at 2C, and its share of a vanilla layer of 2C\n\n{}\
             \nWhat the paper (arXiv 2310.05642) says; its accuracies are for ImageNet and not measured here\n\n{}",
            self.added(),
            self.layers(),
            self.claims()
        );
        text
    }
}

impl Models {
    fn totals(&self) -> Table {
        let [left, right] = [Align::Left, Align::Right];
        let mut table = Table::new([
            ("model", left),
            ("params", right),
            ("MACs", right),
            ("with module: params", right),
            ("MACs", right),
            ("added: params", right),
            ("MACs", right),
        ]);
        for [vanilla, shuffled] in self.pairs() {
            table.row([
                vanilla.name.clone(),
                grouped(vanilla.params),
                grouped(vanilla.macs),
                grouped(shuffled.params),
                grouped(shuffled.macs),
                change(vanilla.params, shuffled.params),
                change(vanilla.macs, shuffled.macs),
            ]);
        }
        table
    }

    fn times(&self) -> Option<Table> {
        let [left, right] = [Align::Left, Align::Right];
        let titles = [("model", left), ("ms", right), ("with module: ms", right), ("time", right), ("MACs", right)];
        let mut table = Table::new(titles);
        for [vanilla, shuffled] in self.pairs() {
            let (before, after) = (vanilla.ms?, shuffled.ms?);
            let macs = shuffled.macs as f64 / vanilla.macs as f64;
            let times = |ratio: f64| format!("x {ratio:.3}");
            table.row([vanilla.name.clone(), millis(before), millis(after), times(after / before), times(macs)]);
        }
        Some(table)
    }

    fn added(&self) -> Table {
        let titles =
            ["embedding", "layers", "mergings", "head", "theory", "counted"].map(|title| (title, Align::Right));
        let [embedding, layers, mergings, head, theory, counted] = titles;
        let mut table = Table::new([("model", Align::Left), embedding, layers, mergings, head, theory, counted]);
        for [vanilla, shuffled] in self.pairs() {
            let parts = Parts::added(&vanilla.config, &shuffled.config);
            let counted = Parts::counted(&shuffled.config) - Parts::counted(&vanilla.config);
            let cells = [parts.embedding, parts.layers, parts.mergings, parts.head, parts.sum(), counted.sum()];
            table.row([vanilla.name.clone()].into_iter().chain(cells.map(signed)));
        }
        table
    }

    fn layers(&self) -> Table {
        let titles = ["N", "keys", "C", "r", "theory", "counted", "with module: theory", "counted", "share"]
            .map(|title| (title, Align::Right));
        let [n, keys, c, r, theory, counted, theory_with, counted_with, share] = titles;
        let mut table =
            Table::new([("model", Align::Left), n, keys, c, r, theory, counted, theory_with, counted_with, share]);
        for [vanilla, shuffled] in self.pairs() {
            let stages = Layers::of(&vanilla.config);
            for (s, layers) in stages.iter().enumerate() {
                let stage = if stages.len() > 1 { format!(", stage {}", s + 1) } else { String::new() };
                table.row([
                    format!("{}{stage}", vanilla.name),
                    layers.tokens.to_string(),
                    layers.keys.to_string(),
                    layers.dim.to_string(),
                    layers.ratio.to_string(),
                    grouped(layers.vanilla()),
                    grouped(counted_layer(&vanilla.config, s)),
                    grouped(layers.with_module()),
                    grouped(counted_layer(&shuffled.config, s)),
                    format!("{:.1} %", 100.0 * layers.with_module() as f64 / layers.twice_as_wide() as f64),
                ]);
            }
        }
        table
    }

    fn claims(&self) -> Table {
        let mut table = Table::bare(vec![Align::Left, Align::Left]);
        CLAIMS.iter().for_each(|(name, claim)| table.row([(*name).into(), (*claim).into()]));
        table
    }
}

/// How much more the second is: "+378,072 (+6.6 %)".
fn change(before: u64, after: u64) -> String {
    let difference = after as i64 - before as i64;
    format!("{} ({:+.1} %)", signed(difference), 100.0 * difference as f64 / before as f64)
}

/// 1234 as +1,234.
fn signed(number: i64) -> String {
    let sign = match number.signum() {
        1 => "+",
        -1 => "-",
        _ => "",
    };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use vit::VitConfig;
    use weights::{Description, LoadedModel, Random};

    #[test]
    fn differences_have_a_sign() {
        assert_eq!([0, 1234, -1234].map(signed), ["0", "+1,234", "-1,234"]);
        assert_eq!((change(200, 201), change(1000, 0)), ("+1 (+0.5 %)".into(), "-1,000 (-100.0 %)".into()));
    }

    #[test]
    fn times_come_next_to_counts() {
        let vit = |depth| {
            let sizes = VitConfig { image_size: 8, patch_size: 4, dim: 8, depth, heads: 2, ..VitConfig::default() };
            LoadedModel::from_tensors(Description::new(Config::new(sizes).unwrap()), &mut Random::new(1)).unwrap()
        };
        let (one, many) = (vit(1), vit(100));
        let [short, long] = time_in_turns([one.model(), many.model()], Level::detect()).unwrap();
        assert!(0.0 < short && short < long, "{short} and {long}");

        let mut models = Models::counted(Level::detect()).unwrap();
        assert!(models.times().is_none());
        models.models.iter_mut().zip(1..).for_each(|(entry, ms)| entry.ms = Some(f64::from(ms)));
        let times = models.times().unwrap().to_string();
        let first = times.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(first, ["deit_tiny", "1.000", "2.000", "x", "2.000", "x", "1.023"]);
        assert!(models.text().contains(&times));
        let json = serde_json::to_string(&models).unwrap();
        assert!(
            json.starts_with(r#"[{"name":"deit_tiny","params":5717416,"macs":1253683200,"ms":1.0},{"name":"sh"#),
            "{json}"
        );
    }
}
