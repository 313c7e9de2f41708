import Domain
import EventLog
import Hummingbird
import JSON

/// Who changed what and when, with what it was before and after; read from the log itself.
extension API {
    func addHistoryRoutes(to router: Router<APIContext>) {
        let paths = [
            ("labs", ResourceKind.lab), ("subjecttypes", .subjectType),
            ("experiments", .experiment),
        ]
        for (path, kind) in paths {
            router.get("/v1/\(path)/:id/history") { request, context in
                _ = try authorize(request, .reader)
                let id = try context.resourceID(kind)
                var filter = EventFilter()
                filter.stream = kind.stream(id)
                let response = try await history(request, filter)
                if response.isEmpty, log.view.snapshot.state.lacks(kind, id) {
                    throw HTTPProblem.notFound("There is no \(kind.rawValue) \(id).")
                }
                return try Response(document: response.page, for: request)
            }
        }
        router.get("/v1/audit") { request, context in
            _ = try authorize(request, .reader)
            var filter = EventFilter()
            filter.types =
                request.parameter("type")?.split(separator: ",").map(String.init) ?? []
            filter.experiment = try Self.experimentParameter(request)
            return try Response(document: try await history(request, filter).page, for: request)
        }
    }

    /// The history of an entity that has these streams, in the order of the log; empty is not found
    /// where `missing` says so.
    func history(
        of filters: [EventFilter], _ request: Request, missing: () -> String?
    ) async throws -> Response {
        let limit = try request.limit()
        let cursor = try request.integer("cursor", in: 0...Int64.max) ?? 0
        let head = try await asOf(request) ?? log.view.position
        var events: [StoredEvent] = []
        for filter in filters {
            events += try await log.reader.events(
                after: cursor, through: head, limit: limit + 1, matching: filter
            ).events
        }
        if events.isEmpty, let missing = missing() { throw HTTPProblem.notFound(missing) }
        events.sort { $0.position < $1.position }
        return try Response(
            document: Self.historyPage(events, limit: limit, position: head), for: request)
    }

    private static func historyPage(
        _ events: [StoredEvent], limit: Int, position: Int64
    ) throws -> JSONWriter {
        let items = events.prefix(limit)
        let next = events.count > limit ? items.last.map { "\($0.position)" } : nil
        let audited = try items.map { ($0, try $0.decoded().audited) }
        return listPage(audited, next: next, position: position) { $0.entry($1.0, $1.1) }
    }

    private func history(
        _ request: Request, _ filter: EventFilter
    ) async throws -> (page: JSONWriter, isEmpty: Bool) {
        let limit = try request.limit()
        let cursor = try request.integer("cursor", in: 0...Int64.max) ?? 0
        let head = try await asOf(request) ?? log.view.position
        var events: [StoredEvent] = []
        var position = cursor
        while events.count <= limit, position < head {
            let page = try await log.reader.events(
                after: position, through: head, limit: limit + 1 - events.count, matching: filter)
            events += page.events
            position = page.readThrough
        }
        return (try Self.historyPage(events, limit: limit, position: head), events.isEmpty)
    }
}

extension State {
    fileprivate func lacks(_ kind: ResourceKind, _ id: ResourceID) -> Bool {
        kind == .experiment ? experiments[id] == nil : groups(kind)[id] == nil
    }
}

extension JSONWriter {
    fileprivate mutating func entry(_ event: StoredEvent, _ change: AuditedChange) {
        beginObject()
        key("position")
        integer(event.position)
        key("at")
        string(event.recordedAt.description)
        key("actor")
        string(event.actor)
        key("type")
        string(event.type)
        key("stream")
        string(event.stream)
        key("entity")
        string(event.stream)
        key("summary")
        string(change.summary)
        key("before")
        value(change.before)
        key("after")
        value(change.after)
        if let correlation = event.correlation {
            key("correlation")
            string(correlation)
        }
        endObject()
    }
}
