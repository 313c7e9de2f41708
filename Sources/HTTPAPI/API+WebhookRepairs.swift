import Domain
import EventLog
import Hummingbird
import JSON
import Webhooks

/// What an endpoint did not take, and what it is to get once more.
extension API {
    func addWebhookRepairs(to router: Router<APIContext>) {
        router.get("/v1/webhooks/:id/failures") { request, context in
            _ = try authorize(request, .reader)
            let webhook = try webhook(context)
            let limit = try request.limit()
            let cursor = try request.integer("cursor", in: 0...Int64.max) ?? 0
            let dispatcher = try dispatching()
            let hidden = try HiddenTexts(of: webhook, dispatcher.secretBox)
            let found = try await dispatcher.failures.failures(
                of: webhook.id, after: cursor, limit: limit + 1)
            let next = found.count > limit ? found[limit - 1].position : nil
            return try Response(
                document: listPage(
                    Array(found.prefix(limit)), next: next.map { "\($0)" },
                    position: log.view.position
                ) { writer, failure in
                    writer.beginObject()
                    writer.members(of: failure, hiding: hidden)
                    writer.endObject()
                }, for: request)
        }
        router.get("/v1/webhooks/:id/failures/:position") { request, context in
            _ = try authorize(request, .reader)
            let webhook = try webhook(context)
            let text = try context.part("position")
            let dispatcher = try dispatching()
            guard let position = Int64(text),
                let failure = try await dispatcher.failures.failure(of: webhook.id, at: position),
                let event = try await log.reader.events(
                    after: position - 1, through: position, limit: 1
                ).events.first
            else {
                throw HTTPProblem.notFound(
                    "Webhook \(webhook.id) has no event \(text.prefix(20)) set aside.")
            }
            let hidden = try HiddenTexts(of: webhook, dispatcher.secretBox)
            return Response(
                json: json { writer in
                    writer.members(of: failure, hiding: hidden)
                    writer.key("event")
                    writer.raw(event.line)
                })
        }
        router.post("/v1/webhooks/:id/redeliver") { request, context in
            let actor = try authorize(request, .admin)
            let id = try webhook(context).id
            let positions = try Self.redelivered(try await request.json())
            let found = try await dispatching().redeliver(positions, of: id)
            let named = Array(found.prefix(Limits.batchLengthMax))
            _ = try await change(id, .redeliver(named), actor)
            let known = Set(found)
            if let missing = positions?.first(where: { !known.contains($0) }) {
                throw HTTPProblem.notFound(
                    "Webhook \(id) has no event \(missing) set aside; those found are delivered.")
            }
            return Response(
                status: .accepted,
                json: json { writer in
                    writer.key("redelivering")
                    writer.integer(found.count)
                })
        }
    }

    /// The positions asked for; nil for all.
    private static func redelivered(_ body: JSONValue) throws -> [Int64]? {
        let problems = Problems()
        let reader = DocumentReader(body, "", problems)
        reader.allow(["positions", "all"])
        if reader.bool("all") == true, body["positions"] == nil {
            guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
            return nil
        }
        let values = reader.array("positions", max: Limits.batchLengthMax, required: true)
        var positions: [Int64] = []
        for (index, value) in values.enumerated() {
            if let position = value.integer {
                positions.append(position)
            } else {
                reader.problem("positions", at: index, "Give a position, a whole number.")
            }
        }
        if problems.list.isEmpty, positions.isEmpty {
            reader.problem("positions", "Give positions, or all: true.")
        }
        guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
        return positions
    }

    // MARK: Replays

    func addWebhookReplays(to router: Router<APIContext>) {
        router.post("/v1/webhooks/:id/replay") { request, context in
            let actor = try authorize(request, .admin)
            let id = try webhook(context).id
            _ = try dispatching()
            let body = try await request.json()
            let problems = Problems()
            let reader = DocumentReader(body, "", problems)
            reader.allow(["from", "to", "rateLimit"])
            let from = try await place(body["from"], "from", isStart: true, reader)
            let through = try await place(body["to"], "to", isStart: false, reader)
            let rateLimit = reader.rateLimit("rateLimit")
            guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
            _ = try await change(
                id, .replay(from: from ?? 1, through: through ?? .max, rateLimit: rateLimit), actor)
            guard let replay = log.view.snapshot.state.webhooks[id]?.replays.last else {
                throw HTTPProblem.notFound("Webhook \(id) has been removed meanwhile.")
            }
            return Response(
                status: .accepted,
                json: json { writer in
                    writer.members(of: replay)
                    writer.key("events")
                    writer.integer(replay.through - replay.from + 1)
                })
        }
        router.delete("/v1/webhooks/:id/replays/:replay") { request, context in
            let actor = try authorize(request, .admin)
            let id = try webhook(context).id
            guard let number = Int(try context.part("replay")) else {
                throw HTTPProblem.notFound("A replay has a number.")
            }
            _ = try await change(id, .cancelReplay(number), actor)
            return Response(status: .noContent)
        }
    }

    /// A position, given as such or as a time: the first event at or after it, or the last one at
    /// or before it.
    private func place(
        _ value: JSONValue?, _ name: String, isStart: Bool, _ reader: DocumentReader
    ) async throws -> Int64? {
        guard let value, !value.isNull else { return nil }
        if let position = value.integer { return position }
        guard let text = value.string, let time = Timestamp(text) else {
            reader.problem(name, "\(name): give a position or an RFC 3339 time.")
            return nil
        }
        guard isStart else { return try await log.reader.position(at: time) }
        let before = Timestamp(microseconds: time.microseconds - 1)
        return try await log.reader.position(at: before) + 1
    }
}
