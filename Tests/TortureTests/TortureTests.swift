import SeededRandomness
import TestSupport
import Testing
import Torture

/// The short version of `ops/torture`.
@Suite(.serialized) struct TortureTests {
    @Test(.timeLimit(.minutes(15)))
    func `every fault leaves what was acknowledged in the log, once, as it was said`()
        async throws
    {
        try await onThread { try torture(nodes: 3, extraPairs: 4) }
    }

    /// Each fault once, in a random order, and then some in pairs.
    private func torture(nodes: Int, extraPairs: Int) throws {
        var generator = SeededGenerator()
        let directory = try temporaryDirectory()
        let stage = try Stage(nodes: nodes, directory: directory)
        defer { stage.stop() }
        let torture = Torture(on: stage, clients: 6, generator.split())
        let faults = Fault.possible(nodes: nodes, isCluster: false)
        var rounds = faults.shuffled(using: &generator).map { [$0] }
        for _ in 0..<extraPairs {
            rounds.append(Array(faults.shuffled(using: &generator).prefix(2)))
        }
        var findings: [Finding] = []
        for faults in rounds where findings.isEmpty {
            let report = try torture.round(faults)
            print(report)
            findings = report.findings
        }
        findings += try torture.verify()
        guard !findings.isEmpty else { return removeTree(directory) }
        torture.keep(findings)
        let list = findings.prefix(20).map(\.description).joined(separator: "\n")
        Issue.record("\(list)\nseed \(generator.seed); all is in \(directory)")
    }
}
