import ArgumentParser
import Glibc
import SeededRandomness
import TestSupport
import Torture

extension Fault: ExpressibleByArgument {}

/// Tortures a ledger of several nodes for as long as it is told.
struct LedgerTorture: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ledger-torture",
        abstract:
            "Let faults happen to a ledger under load, and hold what it said against its log.",
        discussion: """
            Each stage is a fresh database with some nodes; each of its rounds lets one or two \
            random faults happen while clients work. Ends with 1 at the first round with findings, \
            and names the directory that has the history, the log and what the nodes said.
            """)

    @Option(help: ArgumentHelp("How long to go on.", valueName: "n"))
    var minutes = 5.0

    @Option(help: "Repeats the random choices of another run.")
    var seed: UInt64?

    @Option(help: ArgumentHelp("Only this fault; may be given again.", valueName: "name"))
    var fault: [Fault] = []

    @Option(help: ArgumentHelp("Nodes on one database.", valueName: "n"))
    var nodes = 3

    @Option(help: ArgumentHelp("Clients that ask at once.", valueName: "n"))
    var clients = 8

    @Option(help: ArgumentHelp("Rounds on one database.", valueName: "n"))
    var rounds = 10

    @Flag(help: "Put the database on a PostgreSQL cluster under Patroni, and lose its primary too.")
    var cluster = false

    func validate() throws {
        let possible = Fault.possible(nodes: nodes, isCluster: cluster)
        for fault in fault where !possible.contains(fault) {
            throw ValidationError(
                "\(fault.rawValue) can't happen here; what can: "
                    + possible.map(\.rawValue).joined(separator: ", ") + ".")
        }
    }

    func run() throws {
        var generator = seed.map { SeededGenerator(seed: $0) } ?? SeededGenerator()
        let deadline = ContinuousClock.now + .seconds(minutes * 60)
        var count = 0
        while ContinuousClock.now < deadline {
            let directory = try temporaryDirectory()
            let stage = try Stage(nodes: nodes, directory: directory, isCluster: cluster)
            let torture = Torture(on: stage, clients: clients, generator.split())
            var findings: [Finding] = []
            for _ in 0..<rounds where findings.isEmpty && ContinuousClock.now < deadline {
                count += 1
                let report = try torture.round(choose(&generator))
                print("round \(count)  \(report)")
                fflush(nil)
                findings = report.findings
            }
            findings += try torture.verify()
            if !findings.isEmpty { torture.keep(findings) }
            stage.stop()
            guard findings.isEmpty else {
                for finding in findings.prefix(20) { print("  \(finding)") }
                print("\(findings.count) findings, seed \(generator.seed); all is in \(directory)")
                throw ExitCode(1)
            }
            removeTree(directory)
        }
        print("\(count) rounds, no findings, seed \(generator.seed)")
    }

    /// One fault, sometimes two at once.
    private func choose(_ generator: inout SeededGenerator) -> [Fault] {
        let wanted = fault.isEmpty ? Fault.possible(nodes: nodes, isCluster: cluster) : fault
        let isDouble = Int.random(in: 0..<4, using: &generator) == 0
        return Array(wanted.shuffled(using: &generator).prefix(isDouble ? 2 : 1))
    }
}
