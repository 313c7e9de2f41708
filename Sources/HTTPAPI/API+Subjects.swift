import Domain
import EventLog
import Hummingbird
import JSON

/// What a subject was given everywhere, and its erasure.
extension API {
    func addSubjectRoutes(to router: Router<APIContext>) {
        router.get("/v1/subjects/:subject/assignments") { request, context in
            _ = try authorize(request, .reader)
            return try await list(subject: try context.part("subject"), request)
        }
        router.delete("/v1/subjects/:subject") { request, context in
            let actor = try authorize(request, .admin)
            try request.allow(parameters: ["reason"])
            return try await erase(try context.part("subject"), request, actor)
        }
    }

    // MARK: Reading

    private func list(subject: String, _ request: Request) async throws -> Response {
        let (state, position) = try await state(for: request)
        let ids = state.experiments.keys.sorted()
        let units = try await log.units(of: subject, in: ids)
        let found = try await log.reader.placements(units.map(\.1), through: position)
        let items = units.compactMap { id, unit in found[unit].map { (id, $0) } }
        return Response(
            json: listPage(items, next: nil, position: position) { writer, item in
                writer.beginObject()
                writer.key("experiment")
                writer.string(item.0.text)
                writer.key("subject")
                writer.string(subject)
                writer.key("variant")
                writer.string(item.1.variant)
                writer.key("cohort")
                writer.integer(item.1.cohort)
                writer.key("u")
                if let u = item.1.u { writer.number(u) } else { writer.null() }
                writer.key("position")
                writer.integer(item.1.position)
                writer.endObject()
            }, at: position)
    }

    // MARK: Erasing

    private func erase(
        _ subject: String, _ request: Request, _ actor: String
    ) async throws -> Response {
        let reason = request.parameter("reason")
        if let reason, reason.utf8.count > Limits.textBytesMax {
            throw HTTPProblem.parameter(
                "reason", "it has at most \(Limits.textBytesMax) bytes.")
        }
        // Of the context only who asks counts: a plain hash of the request would give the subject
        // away to whoever tries all IDs.
        let context = try request.context(actor, body: []) { _ in [] }
        let answer = try await log.erase(
            subject, reason: reason,
            CommandContext(actor: context.actor, correlation: context.correlation),
            idempotency: context.idempotency.map { ($0.key, { Self.erased($0).bytes }) })
        switch answer {
        case .erased(let erasure): return Response(json: Self.erased(erasure))
        case .replayed(let answer): return .replayed(answer)
        }
    }

    private static func erased(_ erasure: Erasure) -> JSONWriter {
        json { writer in
            writer.key("token")
            writer.string(erasure.token)
            writer.key("position")
            writer.integer(erasure.position)
            writer.key("experiments")
            writer.ids(erasure.experiments)
            writer.key("plainExperiments")
            writer.ids(erasure.plainExperiments)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func ids(_ ids: [ResourceID]) {
        beginArray()
        for id in ids { string(id.text) }
        endArray()
    }
}
