import SeededRandomness
import TestSupport
import Testing
import Torture

/// The short version of `ops/torture`.
@Suite(.serialized) struct TortureTests {
    @Test(arguments: [1])
    func `every fault leaves what was acknowledged in the log, once, as it was said`(
        nodes: Int
    ) async throws {
        try await onThread {
            var generator = SeededGenerator()
            let directory = try temporaryDirectory()
            let stage = try Stage(nodes: nodes, directory: directory)
            defer { stage.stop() }
            let torture = Torture(on: stage, clients: 6, generator.split())
            let faults = Fault.allCases.filter { nodes > 1 || !$0.needsOthers }
            var findings: [Finding] = []
            for fault in faults.shuffled(using: &generator) where findings.isEmpty {
                let report = try torture.round([fault])
                print(report)
                findings = report.findings
            }
            findings += try torture.verify()
            if findings.isEmpty {
                removeTree(directory)
            } else {
                torture.keep(findings)
                let list = findings.prefix(20).map(\.description).joined(separator: "\n")
                Issue.record("\(list)\nseed \(generator.seed); all is in \(directory)")
            }
        }
    }
}
