import EventLog
import HTTPTypes
import Hummingbird
import JSON
import Replication

/// How this node stands to the others, and what a follower refuses.
extension API {
    func addReplicationRoutes(to router: Router<APIContext>) {
        router.get("/v1/replication") { request, context in
            _ = try authorize(request, .reader)
            let position = log.view.position
            return Response(
                json: json { writer in
                    writer.key("role")
                    writer.string(role)
                    guard let status = follower?.status else {
                        writer.key("position")
                        return writer.integer(position)
                    }
                    writer.members(of: status)
                })
        }
    }

    /// What this node is to the others.
    var role: String {
        if let follower, follower.status.state != .promoted { return "follower" }
        return log.isLeading ? "leader" : "standby"
    }

    /// Refuses to serve what may not be the source's; how things stand can still be asked.
    func refuseDiverged(_ request: Request) throws {
        guard let status = follower?.status, let divergence = status.divergence,
            !["/healthz", "/metrics", "/v1/replication"].contains(request.uri.path)
        else { return }
        throw HTTPProblem(
            .serviceUnavailable, "diverged", "This follower has stopped: its source has diverged",
            "At \(divergence). Up to position \(status.verifiedPosition) all is proven. "
                + divergence.advice)
    }

    /// What the client sees of an error; a follower's has its source in it.
    func problem(_ error: any Error) -> HTTPProblem {
        guard let follower, case SequencerError.notLeading = error else {
            return HTTPProblem(error)
        }
        return HTTPProblem(
            .conflict, "read-only-follower", "This is a follower, and takes no writes",
            "Nothing was recorded. Send it to the ledger that is followed: \(follower.source.url).")
    }
}

extension JSONWriter {
    fileprivate mutating func members(of status: ReplicationStatus) {
        key("state")
        string(status.state.rawValue)
        key("source")
        string(status.source)
        key("position")
        integer(status.position)
        key("sourcePosition")
        if let position = status.sourcePosition { integer(position) } else { null() }
        key("verifiedPosition")
        integer(status.verifiedPosition)
        key("lagEvents")
        integer(status.lagEvents)
        key("lagSeconds")
        number((status.lagSeconds * 1_000).rounded() / 1_000)
        if let trouble = status.trouble {
            key("trouble")
            string(trouble)
        }
        guard let divergence = status.divergence else { return }
        key("divergence")
        beginObject()
        key("kind")
        string(divergence.kind.rawValue)
        key("position")
        if let position = divergence.position { integer(position) } else { null() }
        key("detail")
        string(divergence.text)
        key("advice")
        string(divergence.advice)
        endObject()
    }
}
