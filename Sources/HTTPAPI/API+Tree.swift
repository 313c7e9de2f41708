import EventLog
import Hummingbird
import JSON
import Proof

/// What others need to check the log without trusting it: checkpoints, proofs, roots.
extension API {
    func addTreeRoutes(to router: Router<APIContext>) {
        router.get("/v1/log/checkpoint") { request, context in
            _ = try authorize(request, .reader)
            let note = try await checkpoint().note
            return Response(bytes: note, type: .text)
        }
        router.get("/v1/log/key") { request, context in
            _ = try authorize(request, .reader)
            let key =
                if let notary { "\(notary.verifierKey)" } else {
                    try await storedCheckpoint().verifierKey
                }
            return Response(bytes: Array("\(key)\n".utf8), type: .text)
        }
        router.get("/v1/log/root") { request, context in
            _ = try authorize(request, .reader)
            let head = log.view.position
            let size = try request.integer("size", in: 0...Int64.max) ?? head
            try Self.refuse(size, beyond: head)
            let root = try await log.reader.root(size: size, head: head)
            return Response(
                json: json { writer in
                    writer.key("size")
                    writer.integer(size)
                    writer.key("root")
                    writer.string(root.base64)
                })
        }
        router.get("/v1/log/proof/inclusion") { request, context in
            _ = try authorize(request, .reader)
            return try await inclusion(request)
        }
        router.get("/v1/log/proof/consistency") { request, context in
            _ = try authorize(request, .reader)
            return try await consistency(request)
        }
    }

    // MARK: Checkpoints

    /// The newest checkpoint: of the leader one that covers all that is committed now.
    private func checkpoint() async throws -> StoredCheckpoint {
        if let notary, log.isLeading {
            do { return try await notary.checkpoint(covering: log.view.position) } catch NotaryError
                .notLeading
            {
                // Another node leads from now on, and what is signed is in the database.
            }
        }
        return try await storedCheckpoint()
    }

    private func storedCheckpoint() async throws -> StoredCheckpoint {
        guard let stored = try await log.reader.storedCheckpoint() else {
            throw HTTPProblem.notFound(
                "No checkpoint of this log was signed yet; the leader signs one when it starts.")
        }
        return stored
    }

    // MARK: Proofs

    private func inclusion(_ request: Request) async throws -> Response {
        guard let position = try request.integer("position", in: 1...Int64.max) else {
            throw HTTPProblem.parameter("position", "give the position of an event.")
        }
        let (size, head) = try await size("size", request)
        guard position <= size else {
            throw HTTPProblem.notFound(
                "Position \(position) is beyond the \(size) events of that tree; give a larger size, "
                    + "or ask for /v1/log/checkpoint first: it covers all that is recorded.")
        }
        let proof = try await log.reader.inclusion(of: position, size: size, head: head)
        return Response(
            json: json { writer in
                writer.key("leafIndex")
                writer.integer(position - 1)
                writer.key("treeSize")
                writer.integer(size)
                writer.key("leafHash")
                writer.string(proof.leaf.base64)
                writer.hashes(proof.hashes)
            })
    }

    private func consistency(_ request: Request) async throws -> Response {
        guard let from = try request.integer("from", in: 1...Int64.max) else {
            throw HTTPProblem.parameter("from", "give the size of the smaller tree, from 1.")
        }
        let (to, head) = try await size("to", request)
        guard from <= to else {
            throw HTTPProblem.parameter(
                "from", "a tree of \(to) events can't extend one of \(from); give a larger to.")
        }
        let hashes = try await log.reader.consistency(from: from, to: to, head: head)
        return Response(
            json: json { writer in
                writer.key("from")
                writer.integer(from)
                writer.key("to")
                writer.integer(to)
                writer.hashes(hashes)
            })
    }

    /// The size of the tree that a proof is for, by default the latest checkpoint's; and how many
    /// events are committed.
    private func size(_ name: String, _ request: Request) async throws -> (size: Int64, head: Int64)
    {
        let head = log.view.position
        if let size = try request.integer(name, in: 1...Int64.max) {
            try Self.refuse(size, beyond: head)
            return (size, head)
        }
        let size = try await storedCheckpoint().size
        // This node may be a little behind the one that signed.
        return (size, max(head, size))
    }

    private static func refuse(_ size: Int64, beyond head: Int64) throws {
        guard size <= head else {
            throw HTTPProblem.notFound("The log has \(head) events, not \(size).")
        }
    }
}

extension JSONWriter {
    /// Hashes as base64, in the order of RFC 9162.
    fileprivate mutating func hashes(_ hashes: [Digest]) {
        key("hashes")
        beginArray()
        for hash in hashes { string(hash.base64) }
        endArray()
    }
}
