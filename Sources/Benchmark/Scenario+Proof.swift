import Curl
import JSON
import Proof

/// The log's tree: checking all of it, and proving parts.
extension Scenario {
    /// Events per second that are checked, beside reading the log out with COPY.
    static func verify(_ stage: Stage, _ size: Size) throws -> Finding {
        try stage.assign(size.logEvents, prefix: "verified")
        try stage.tidy()
        let connection = try stage.connect()
        defer { connection.close() }
        let events = Double(try stage.settledHead())
        var finding = Finding(.verify, unit: "events/s", .rate(least: 300_000))
        for _ in 1...size.rounds {
            let reference = try CopyReference.readOut(connection)
            let clock = ContinuousClock.now
            try stage.runLedger("verify", "--data-dir", stage.dataDirectory)
            let seconds = (ContinuousClock.now - clock).seconds
            finding.add(events / seconds, reference)
            finding.note("seconds", seconds, events / reference)
        }
        return finding
    }

    // MARK: Proofs

    /// Milliseconds until a proof is there, for one client that asks for one after the other.
    static func proof(_ stage: Stage, _ size: Size) throws -> [Finding] {
        let clock = ContinuousClock.now
        try stage.assign(size.provenEvents, prefix: "proven")
        try stage.tidy()
        let filling = (ContinuousClock.now - clock).seconds
        Progress.say("  filled in \(Int(filling)) s")
        let asker = try ProofAsker(stage.address)
        var inclusion = Finding(.proof, "of inclusion", unit: "ms", .tail("p99", most: 5))
        var consistency = Finding(.proof, "of consistency", unit: "ms", .tail("p99", most: 5))
        inclusion.note("seconds to fill the log", filling, nil)
        for round in 0...size.rounds {
            let included = try (0..<size.proofs).map { _ in try asker.inclusion() }
            let consistent = try (0..<size.proofs).map { _ in try asker.consistency() }
            // The first round brings what is read most into memory.
            if round == 0 { continue }
            inclusion.add(included.percentile(99), nil, middle: included.median)
            consistency.add(consistent.percentile(99), nil, middle: consistent.median)
        }
        return [inclusion, consistency]
    }
}

/// A client that asks for proofs of random events and sizes, and checks each against the tree that
/// the latest checkpoint is of.
private struct ProofAsker {
    private let address: ServerAddress
    private let transfer = Transfer()
    private let checkpoint: Checkpoint

    init(_ address: ServerAddress) throws {
        self.address = address
        checkpoint = try Checkpoint(address.send("GET", "/v1/log/checkpoint", over: transfer))
    }

    /// Milliseconds for the proof of a random event.
    func inclusion() throws -> Double {
        let position = Int64.random(in: 1...checkpoint.size)
        let (answer, milliseconds) = try ask("/v1/log/proof/inclusion?position=\(position)")
        guard let leaf = answer["leafHash"]?.digest,
            MerkleProof.verifyInclusion(
                of: leaf, at: UInt64(position - 1), size: UInt64(checkpoint.size),
                hashes: answer.hashes, root: checkpoint.root)
        else { throw BenchmarkError("the proof of position \(position) proves nothing") }
        return milliseconds
    }

    /// Milliseconds for the proof that the log extends a smaller one of random size.
    func consistency() throws -> Double {
        let size = Int64.random(in: 1...checkpoint.size)
        let (answer, milliseconds) = try ask("/v1/log/proof/consistency?from=\(size)")
        guard let root = try ask("/v1/log/root?size=\(size)").answer["root"]?.digest,
            MerkleProof.verifyConsistency(
                from: UInt64(size), root, to: UInt64(checkpoint.size), checkpoint.root,
                hashes: answer.hashes)
        else { throw BenchmarkError("the proof from size \(size) proves nothing") }
        return milliseconds
    }

    private func ask(_ path: String) throws -> (answer: JSONValue, milliseconds: Double) {
        let clock = ContinuousClock.now
        let body = try address.send("GET", path, over: transfer)
        let milliseconds = (ContinuousClock.now - clock).seconds * 1_000
        return (try JSONValue.parse(body), milliseconds)
    }
}

extension JSONValue {
    fileprivate var digest: Digest? { string.flatMap { Digest(text: $0) } }

    fileprivate var hashes: [Digest] { self["hashes"]?.array?.compactMap(\.digest) ?? [] }
}
