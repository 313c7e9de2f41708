import EventLog
import Glibc
import JSON
import Postgres
import SeededRandomness
import Synchronization
import TestSupport

/// What one round came to.
package struct RoundReport: Sendable, CustomStringConvertible {
    package var faults: [Fault]
    package var operations: Int
    package var unknown: Int
    /// The longest time, from the fault on, in which nothing new was acknowledged.
    package var pause: Duration
    /// Events in the log.
    package var position: Int
    package var remarks: [String]
    package var findings: [Finding]

    package var description: String {
        let seconds = Double(pause / .milliseconds(100)).rounded() / 10
        let names = faults.map(\.rawValue).joined(separator: " + ")
        let words = [
            names.padded(to: 32), "\(operations) operations", "\(unknown) unknown",
            "longest pause \(seconds) s", "log \(position)",
        ]
        let notes = remarks + (findings.isEmpty ? [] : ["\(findings.count) FINDINGS"])
        return (words + notes).joined(separator: "  ")
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String {
        self + String(repeating: " ", count: max(0, width - count))
    }
}

/// Rounds of clients and faults on one stage, with everything that was said since its start.
package final class Torture {
    package let stage: Stage
    package private(set) var history: [Operation] = []
    private var generator: SeededGenerator
    private let clock = RunClock()
    private let clientCount: Int
    private var firstNumber = 2
    private var firstClient = 0
    private var lines: [[UInt8]] = []

    package init(on stage: Stage, clients: Int, _ generator: SeededGenerator) {
        self.stage = stage
        clientCount = clients
        self.generator = generator
    }

    /// Lets the clients work, the faults happen, and the clients work on; then checks everything.
    package func round(_ faults: [Fault]) throws -> RoundReport {
        let crowd = Crowd(
            urls: stage.nodes.map(\.url), key: stage.key, clock: clock, firstNumber: firstNumber)
        let threads = startClients(of: crowd)
        var findings: [Finding] = []
        var remarks: [String] = []
        let before = Int.random(in: 30...200, using: &generator)
        let after = Int.random(in: 30...400, using: &generator)
        if !crowd.waitForMore(before, patience: .seconds(60)) {
            findings.append(Finding(.stuck, "no progress before the fault"))
        }
        let inflicted = clock.now
        for result in inflict(faults) {
            switch result {
            case .success(let remark): if let remark { remarks.append(remark) }
            case .failure(let failure): findings.append(Finding(.stuck, "\(failure)"))
            }
        }
        if !crowd.waitForMore(after, patience: .seconds(60)) {
            findings.append(Finding(.stuck, "no progress in a minute after the fault"))
        }
        for node in stage.waitUntilWhole(patience: .seconds(30)) {
            findings.append(Finding(.stuck, "node \(node.number) is not ready after half a minute"))
        }
        crowd.stop()
        for thread in threads { thread.join() }
        firstNumber = crowd.nextFreeNumber | 1 + 1
        history += crowd.history
        findings += crowd.findings + check()
        return RoundReport(
            faults: faults, operations: crowd.history.count,
            unknown: crowd.history.count { if case .unknown = $0.outcome { true } else { false } },
            pause: longestPause(crowd.history, from: inflicted), position: lines.count,
            remarks: remarks, findings: findings)
    }

    private func startClients(of crowd: Crowd) -> [OSThread] {
        defer { firstClient += clientCount + 1 }
        var threads = (0..<clientCount).map { index in
            let (number, part) = (firstClient + index, generator.split())
            return OSThread.start(name: "client") {
                var client = Client(number, of: crowd, part)
                client.run()
            }
        }
        let (number, part) = (firstClient + clientCount, generator.split())
        threads.append(
            OSThread.start(name: "feed reader") { [position = Int64(lines.count)] in
                var reader = FeedReader(number, of: crowd, from: position, part)
                reader.run()
            })
        return threads
    }

    /// All at once, each on a thread of its own.
    private func inflict(_ faults: [Fault]) -> [Result<String?, LedgerProcess.Failure>] {
        let results = Mutex<[Result<String?, LedgerProcess.Failure>]>([])
        let threads = faults.map { fault in
            let part = generator.split()
            return OSThread.start(name: "fault") { [stage] in
                var generator = part
                let result = Result { try fault.inflict(on: stage, &generator) }
                    .mapError { LedgerProcess.Failure(description: "\(fault.rawValue): \($0)") }
                results.withLock { $0.append(result) }
            }
        }
        for thread in threads { thread.join() }
        return results.withLock { $0 }
    }

    // MARK: Checking

    /// Checks all that was ever said against the log of one node, and the other nodes' logs too.
    private func check() -> [Finding] {
        let known = history.compactMap { $0.answer?.facts.values.map(\.position).max() }.max() ?? 0
        var findings: [Finding] = []
        do {
            var root = ""
            for (index, node) in stage.nodes.shuffled(using: &generator).enumerated() {
                let log = try stage.log(of: node, through: known)
                if index == 0 {
                    (lines, root) = log
                } else if log.lines != lines || log.root != root {
                    findings.append(Finding(.changed, "node \(node.number) shows another log"))
                }
            }
            findings += HistoryChecker.check(history, lines: lines, root: root)
        } catch { findings.append(Finding(.stuck, "\(error)")) }
        return findings
    }

    /// What the ledger's own tools find.
    package func verify() throws -> [Finding] { try stage.verify() }

    private func longestPause(_ history: [Operation], from start: Int64) -> Duration {
        var first: [Effect: Int64] = [:]
        for operation in history {
            guard case .write(let effects) = operation.request, operation.answer != nil else {
                continue
            }
            for effect in effects {
                first[effect] = min(first[effect] ?? .max, operation.completed)
            }
        }
        let times = [start] + first.values.filter { $0 > start }.sorted()
        let longest = zip(times, times.dropFirst()).map { $1 - $0 }.max() ?? 0
        return .microseconds(longest)
    }

    // MARK: Keeping

    /// Writes the history, the log and the findings into the stage's directory.
    package func keep(_ findings: [Finding]) {
        var log: [UInt8] = []
        for line in lines { log += line + [UInt8(ascii: "\n")] }
        write(log, "log.ndjson")
        let texts = [
            ("history.txt", history.map(\.line)), ("findings.txt", findings.map(\.description)),
        ]
        for (name, lines) in texts {
            write(Array((lines.joined(separator: "\n") + "\n").utf8), name)
        }
    }

    private func write(_ bytes: [UInt8], _ name: String) {
        guard let file = fopen("\(stage.directory)/\(name)", "w") else { return }
        defer { fclose(file) }
        _ = fwrite(bytes, 1, bytes.count, file)
    }
}

extension Operation {
    /// One line of a history that is kept for people.
    fileprivate var line: String {
        let waited = minPosition.map { ", at least at \($0)" } ?? ""
        let keyed = key.map { ", key \($0)" } ?? ""
        let end =
            switch outcome {
            case .unknown(let detail): "unknown: \(detail)"
            case .refused(let detail): "refused: \(detail)"
            case .answered(let answer):
                "\(answer.facts.first?.value.description ?? "\(answer.lines.count) lines") "
                    + "at \(answer.position.map(String.init) ?? "?")"
            }
        return "\(label)\(waited)\(keyed): \(end)"
    }
}
