import ArgumentParser

/// Measures the ledger against references that are taken in the same run on the same machine.
struct LedgerBench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-bench",
        abstract: "Measure the ledger beside its references.",
        subcommands: [Run.self, BareRoute.self, Sink.self], defaultSubcommand: Run.self)

    /// Runs the command that the process's arguments name.
    static func start() async { await main() }
}

/// Runs the scenarios one after the other, prints a table and writes JSON.
struct Run: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Run the benchmark.")

    @Flag(help: "Fewer rounds, seconds and rows: shows that it works, not how fast.")
    var quick = false

    @Option(help: ArgumentHelp("Run this scenario alone; may be given again.", valueName: "name"))
    var only: [Scenario] = []

    @Option(help: ArgumentHelp("Where the numbers go.", valueName: "file"))
    var json = ".build/bench.json"

    @Option(
        help: ArgumentHelp(
            "Where databases are made for a while; a disk, or fsync means nothing.",
            valueName: "dir"))
    var directory = "/var/tmp"

    @Option(help: ArgumentHelp("The ledger to measure; beside this one.", valueName: "file"))
    var ledger: String?

    func run() throws {
        let programs = Programs(ledger: ledger)
        let size = quick ? Size.quick : Size.full
        var findings: [Finding] = []
        var postgres = ""
        for scenario in only.isEmpty ? Scenario.allCases : only {
            Progress.say("\(scenario.rawValue): \(scenario.work)")
            let stage = try Stage(in: directory, programs)
            defer { stage.close() }
            let interruption = Interruption.handler { stage.close() }
            defer { interruption.cancel() }
            try stage.open()
            findings += try scenario.run(on: stage, size)
            postgres = try stage.postgresVersion()
        }
        let report = Report(
            machine: Machine(postgres: postgres), isQuick: quick, findings: findings)
        print(report.markdown)
        try report.write(to: json)
        Progress.say("numbers of every round are in \(json)")
    }
}

/// How much is measured.
struct Size: Sendable {
    var rounds: Int
    /// Of each measurement under wrk.
    var seconds: Int
    /// Assignments in the log that is rebuilt.
    var rebuildRows: Int
    /// Assigned subjects between two looks at the memory.
    var memoryStep: Int
    /// Subjects that are scored in turn.
    var scoredUnits: Int
    /// Scored subjects of the experiment whose results are asked for.
    var resultUnits: Int
    /// Events that are delivered one by one; five times as many in batches.
    var deliveries: Int
    /// Events that wait for a thousand endpoints.
    var backlog: Int
    /// Leaders that are lost.
    var failovers: Int
    /// Assignments in the log that is verified, or followed from its beginning.
    var logEvents: Int
    /// Assignments in the log of which proofs are asked for.
    var provenEvents: Int
    /// Proofs of each kind in a round.
    var proofs: Int

    static let full = Size(
        rounds: 3, seconds: 6, rebuildRows: 1_000_000, memoryStep: 1_000_000,
        scoredUnits: 250_000, resultUnits: 1_000_000, deliveries: 200_000, backlog: 1_000_000,
        failovers: 20, logEvents: 1_000_000, provenEvents: 10_000_000, proofs: 2_000)
    static let quick = Size(
        rounds: 1, seconds: 2, rebuildRows: 100_000, memoryStep: 100_000, scoredUnits: 100_000,
        resultUnits: 100_000, deliveries: 50_000, backlog: 100_000,
        failovers: 3, logEvents: 200_000, provenEvents: 300_000, proofs: 300)
}

/// Why a measurement can't be had, or can't be trusted.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
