import Crypto
import JSON
import SeededRandomness
import Testing

@testable import Domain

/// The domain once more, as plainly as it can be said, to compare the real one with.
private struct Model: Equatable {
    struct Experiment: Equatable {
        var status = 0
        var variants: [String] = []
        var cohorts: [[(variant: String, split: Double)]] = []
        var winner: String?
        var version = 0

        static func == (left: Self, right: Self) -> Bool {
            left.status == right.status && left.variants == right.variants
                && left.winner == right.winner && left.version == right.version
                && left.cohorts.count == right.cohorts.count
                && zip(left.cohorts, right.cohorts).allSatisfy { old, new in
                    old.map(\.variant) == new.map(\.variant) && old.map(\.split) == new.map(\.split)
                }
        }
    }

    static let statuses = ["draft", "active", "winner_declared", "ended", "archived"]

    var experiments: [String: Experiment] = [:]
    var assigned: [String: String] = [:]

    /// Applies a document; false where it has to be refused.
    mutating func apply(_ name: String, _ wanted: Experiment, reopen: Bool) -> Bool {
        let old = experiments[name]
        var new = wanted
        new.version = old?.version ?? 0
        if let old {
            if wanted.status < old.status && !reopen { return false }
            for used in old.cohorts.flatMap({ $0 }) where !wanted.variants.contains(used.variant) {
                return false
            }
            if wanted.cohorts.count < old.cohorts.count { return false }
            for (before, after) in zip(old.cohorts, wanted.cohorts)
            where before.map(\.variant) != after.map(\.variant)
                || before.map(\.split) != after.map(\.split)
            {
                return false
            }
            if wanted.cohorts.count > old.cohorts.count && old.status > 1 && wanted.status > 1 {
                return false
            }
        }
        for cohort in wanted.cohorts.dropFirst(old?.cohorts.count ?? 0) {
            var sum = 0.0
            for share in cohort {
                guard wanted.variants.contains(share.variant) else { return false }
                sum += share.split
            }
            if abs(sum - 1) > 0.0005 { return false }
        }
        if (1...2).contains(wanted.status) && (wanted.variants.isEmpty || wanted.cohorts.isEmpty) {
            return false
        }
        if wanted.status == 2 {
            guard let winner = wanted.winner, wanted.variants.contains(winner) else { return false }
        } else {
            if wanted.winner != nil { return false }
            if wanted.status > 2 && wanted.status >= (old?.status ?? 0) { new.winner = old?.winner }
            if wanted.status > 2 && wanted.status < (old?.status ?? 0) { new.winner = old?.winner }
        }
        // Order of variants is the order they came in.
        let kept = (old?.variants ?? []).filter { wanted.variants.contains($0) }
        new.variants = kept + wanted.variants.filter { !kept.contains($0) }
        if old != new { new.version += 1 }
        experiments[name] = new
        return true
    }

    /// The variant a subject gets, and why.
    mutating func assign(_ name: String, _ subject: String) -> (String?, String)? {
        guard let experiment = experiments[name] else { return nil }
        switch experiment.status {
        case 0: return (nil, "NOT_ACTIVE")
        case 2: return (experiment.winner, "WINNER")
        case 3: return (nil, "ENDED")
        case 4: return (nil, "ARCHIVED")
        default: break
        }
        if let variant = assigned["\(name)/\(subject)"] { return (variant, "EXISTING") }
        let index = experiment.cohorts.count
        let digest = Array(SHA256.hash(data: Array("\(name)/\(index)/\(subject)".utf8)))
        var u = 0.0
        for byte in digest[..<8].reversed() { u = (u + Double(byte)) / 256 }
        let shares = experiment.cohorts[index - 1].filter { $0.split > 0 }
        let total = shares.reduce(0) { $0 + $1.split }
        var sum = 0.0
        let drawn = shares.first { share in
            sum += share.split / total
            return u < sum
        }
        let variant = (drawn ?? shares[shares.count - 1]).variant
        assigned["\(name)/\(subject)"] = variant
        return (variant, "NEW")
    }
}

@Suite struct ModelTests {
    @Test(arguments: 0..<8)
    func `random commands do what the model says, and the log is the whole state`(
        run: Int
    ) throws {
        var generator = SeededGenerator()
        let seed = Comment(rawValue: "seed \(generator.seed)")
        var ledger = TestLedger()
        var model = Model()
        var accepted = 0
        for _ in 0..<400 {
            let name = ["ONE", "TWO", "THREE"].randomElement(using: &generator) ?? "ONE"
            if Bool.random(using: &generator) {
                let subject = "s\(Int.random(in: 0..<40, using: &generator))"
                let expected = model.assign(name, subject)
                let answer = try? ledger.assign(subject, to: name)[0]
                #expect(answer?.variant == expected?.0, seed)
                #expect(answer?.reason.rawValue == expected?.1, seed)
                continue
            }
            let wanted = mutated(model.experiments[name] ?? .init(), &generator)
            let reopen = Int.random(in: 0..<4, using: &generator) == 0
            let before = ledger.state
            let allowed = model.apply(name, wanted, reopen: reopen)
            let refused = refusal { () throws(Refusal) in
                try ledger.apply(
                    document(name, wanted),
                    options: ApplyOptions(reopenReason: reopen ? "random" : nil))
            }
            #expect((refused == nil) == allowed, "\(refused as Any), seed \(generator.seed)")
            if refused != nil { #expect(ledger.state == before, seed) }
            accepted += refused == nil ? 1 : 0
            #expect(observed(ledger) == model.experiments, seed)
        }
        #expect(accepted > 10, seed)
        #expect(try ledger.replayed() == ledger.state, seed)
        let made = try ledger.log.filter { $0.type == "AssignmentMade" }.map { line in
            let data = try JSONValue.parse(line.data)
            return "\(data["experiment"]?.string ?? "")/\(data["subject"]?.string ?? "")"
        }
        #expect(made.sorted() == model.assigned.keys.sorted(), seed)
    }

    private func observed(_ ledger: TestLedger) -> [String: Model.Experiment] {
        var found: [String: Model.Experiment] = [:]
        for experiment in ledger.state.experiments.values {
            found[experiment.id.text] = Model.Experiment(
                status: Model.statuses.firstIndex(of: experiment.status.rawValue) ?? -1,
                variants: experiment.variants.map(\.id.text),
                cohorts: experiment.cohorts.map { cohort in
                    cohort.splits.map { ($0.variant.text, $0.split) }
                },
                winner: experiment.winner?.text,
                version: Int(experiment.provenance.resourceVersion))
        }
        return found
    }

    /// What an experimenter might want next, right or wrong.
    private func mutated(
        _ experiment: Model.Experiment, _ generator: inout SeededGenerator
    ) -> Model.Experiment {
        var wanted = experiment
        if wanted.status != 2 { wanted.winner = nil }
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            switch Int.random(in: 0..<8, using: &generator) {
            case 0, 1:
                wanted.status = max(
                    0, min(4, wanted.status + .random(in: -1...1, using: &generator)))
                wanted.winner =
                    wanted.status == 2 ? wanted.variants.randomElement(using: &generator) : nil
            case 2, 3:
                let name = "V\(Int.random(in: 0..<5, using: &generator))"
                if !wanted.variants.contains(name) { wanted.variants.append(name) }
            case 4:
                let index = wanted.variants.indices.randomElement(using: &generator)
                if let index { wanted.variants.remove(at: index) }
            case 5, 6:
                let count = wanted.variants.count
                let sum: Double = [1.0, 1.0, 1.0, 0.9].randomElement(using: &generator) ?? 1
                wanted.cohorts.append(
                    wanted.variants.map { (variant: $0, split: sum / Double(count)) })
            default:
                wanted.status = .random(in: 0...4, using: &generator)
                if Bool.random(using: &generator), !wanted.cohorts.isEmpty {
                    wanted.cohorts.removeLast()
                }
            }
        }
        return wanted
    }

    private func document(_ name: String, _ wanted: Model.Experiment) -> String {
        let winner = wanted.winner.map { #","winningVariant":"\#($0)""# } ?? ""
        let reason = wanted.status > 2 ? #","endedReason":"other""# : ""
        let cohorts = wanted.cohorts.enumerated().map { index, shares in
            let splits = shares.map { #"{"variant":"\#($0.variant)","split":\#($0.split)}"# }
            return #"{"index":\#(index + 1),"variants":[\#(splits.joined(separator: ","))]}"#
        }
        return hero(
            Model.statuses[wanted.status], id: name, spec: winner + reason,
            variants: wanted.variants.map { #"{"id":"\#($0)"}"# }.joined(separator: ","),
            cohorts: cohorts.joined(separator: ","))
    }
}
