import Domain
import EventLog
import JSON
import Proof
import Synchronization
import TestSupport
import Testing

@testable import HTTPAPI

extension ServedLedger {
    fileprivate func checkpoint() async throws -> Checkpoint {
        let answer = try await get("/v1/log/checkpoint")
        #expect(answer.status == 200 && answer.contentType.hasPrefix("text/plain"))
        let checkpoint = try Checkpoint(answer.response.body)
        try checkpoint.verify(try await key())
        return checkpoint
    }

    fileprivate func key() async throws -> VerifierKey {
        let text = try await get("/v1/log/key").text
        #expect(text.hasSuffix("\n"))
        return try VerifierKey(text)
    }

    fileprivate func root(_ size: Int64) async throws -> Digest {
        let text = try #require(try await get("/v1/log/root?size=\(size)")["root"]?.string)
        return try #require(Digest(text: text))
    }
}

private func hashes(_ answer: Answer) throws -> [Digest] {
    try #require(answer["hashes"]?.array).compactMap { $0.string.flatMap { Digest(text: $0) } }
}

@Suite struct TreeRoutesTests {
    @Test func aCheckpointCoversAllThatWasCommittedBeforeItWasAskedFor() async throws {
        try await ServedLedger.run { ledger async throws in
            #expect(try await ledger.checkpoint().size == 0)
            let clock = ContinuousClock.now
            for round in 0..<3 {
                try await ledger.log.createExperiment(ResourceID("E\(round)")!)
                let position = ledger.log.view.position
                let checkpoint = try await ledger.checkpoint()
                #expect(checkpoint.size >= position)
                #expect(try await ledger.root(checkpoint.size) == checkpoint.root)
            }
            // Three new ones after the first take two seconds at least: one a second.
            #expect(ContinuousClock.now - clock > .seconds(2))
        }
    }

    @Test func aCheckpointIsSignedUnaskedWhileTheLogMoves() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.log.createExperiment("HERO")
            let head = ledger.log.view.position
            while try await ledger.log.reader.storedCheckpoint()?.size != head {
                await ledger.log.view.waitForCommit(beyond: head - 1)
            }
            let stored = try #require(try await ledger.log.reader.storedCheckpoint())
            try Checkpoint(stored.note).verify(VerifierKey(stored.verifierKey))
            #expect(stored.leaves.count == Int(head % 256))
        }
    }

    @Test func proofsHoldAgainstCheckpoints() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.log.createExperiment("HERO")
            let early = try await ledger.checkpoint()
            try await ledger.log.assign("HERO", subjects: 0..<600)
            let late = try await ledger.checkpoint()
            let lines = try await ledger.get("/v1/events?limit=1000").response.body
                .split(separator: UInt8(ascii: "\n")).map { Array($0) }
            #expect(lines.count == Int(late.size))
            for position in [1, 2, 255, 256, 257, 600, Int(late.size)] {
                let answer = try await ledger.get("/v1/log/proof/inclusion?position=\(position)")
                #expect(answer["leafIndex"]?.integer == Int64(position - 1))
                #expect(answer["treeSize"]?.integer == late.size)
                let leaf = MerkleFrontier.leaf(lines[position - 1])
                #expect(answer["leafHash"]?.string == leaf.base64)
                let holds = MerkleProof.verifyInclusion(
                    of: leaf, at: UInt64(position - 1), size: UInt64(late.size),
                    hashes: try hashes(answer), root: late.root)
                #expect(holds, "position \(position)")
            }
            let answer = try await ledger.get("/v1/log/proof/consistency?from=\(early.size)")
            #expect(answer["from"]?.integer == early.size && answer["to"]?.integer == late.size)
            #expect(
                MerkleProof.verifyConsistency(
                    from: UInt64(early.size), early.root, to: UInt64(late.size), late.root,
                    hashes: try hashes(answer)))
            let same = try await ledger.get("/v1/log/proof/consistency?from=7&to=7")
            #expect(same["hashes"]?.array?.isEmpty == true)
        }
    }

    @Test func whatCanNotBeProvenIsRefused() async throws {
        try await ServedLedger.run { ledger async throws in
            try await ledger.log.createExperiment("HERO")
            let size = try await ledger.checkpoint().size
            for (query, status) in [
                ("inclusion", 400), ("inclusion?position=0", 400), ("inclusion?position=x", 400),
                ("inclusion?position=\(size + 1)", 404), ("inclusion?position=2&size=1", 404),
                ("inclusion?position=1&size=0", 400), ("inclusion?position=1&size=99", 404),
                ("consistency", 400), ("consistency?from=0", 400), ("consistency?from=2&to=1", 400),
                ("consistency?from=1&to=99", 404), ("consistency?from=99", 400),
            ] {
                let answer = try await ledger.get("/v1/log/proof/\(query)")
                #expect(answer.status == status, "\(query): \(answer.text)")
            }
            #expect(try await ledger.get("/v1/log/root?size=99").status == 404)
            #expect(try await ledger.get("/v1/log/root?size=-1").status == 400)
            #expect(try await ledger.root(0) == MerkleFrontier().root)
        }
    }
}
