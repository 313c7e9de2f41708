import Domain
import Hummingbird
import JSON

/// One route for each step of an experiment's life.
extension API {
    func addLifecycleRoutes(to router: Router<APIContext>) {
        step("activate", router) { reader, _ in
            reader.allow([])
            return .activate
        }
        step("winner", router) { reader, _ in
            reader.allow(["variant"])
            return reader.id("variant", required: true).map { .declareWinner($0) }
        }
        step("end", router) { reader, _ in
            reader.allow(["reason"])
            let reason: EndedReason? = reader.value("reason", required: true)
            return reason.map { .end($0) }
        }
        step("archive", router) { reader, _ in
            reader.allow(["reason"])
            return .archive(reader.value("reason"))
        }
        step("reopen", router) { reader, _ in
            reader.allow(["to", "reason"])
            let status: ExperimentStatus? = reader.value("to", required: true)
            let reason = reader.text("reason", required: true)
            guard let status, let reason else { return nil }
            return .reopen(to: status, reason: reason)
        }
        router.post("/v1/experiments/:id/cohorts") { request, context in
            let actor = try authorize(request, .editor)
            let id = try context.resourceID(.experiment)
            try request.refuseCondition()
            let body = try await request.bytes()
            let cohort = try ResourceDocument.cohort(
                indexed(try request.json(from: body), for: id))
            return try await submit(.step(id, .addCohort(cohort)), request, actor, body: body)
        }
    }

    private func step(
        _ name: String, _ router: Router<APIContext>,
        _ read: @escaping @Sendable (DocumentReader, ResourceID) -> LifecycleStep?
    ) {
        router.post("/v1/experiments/:id/\(name)") { request, context in
            let actor = try authorize(request, .editor)
            let id = try context.resourceID(.experiment)
            try request.refuseCondition()
            let body = try await request.bytes()
            let problems = Problems()
            let step = read(DocumentReader(try request.json(from: body), "", problems), id)
            guard problems.list.isEmpty, let step else { throw Refusal.invalid(problems.list) }
            return try await submit(.step(id, step), request, actor, body: body)
        }
    }

    /// A cohort that says no index gets the next one.
    private func indexed(_ cohort: JSONValue, for id: ResourceID) -> JSONValue {
        guard case .object(let members) = cohort, cohort["index"] == nil else { return cohort }
        let next = (log.view.snapshot.state.experiments[id]?.cohorts.count ?? 0) + 1
        return .object([.init("index", .number(JSONNumber(next)))] + members)
    }
}

extension Request {
    /// A step keeps no condition; passing over one would lose someone's update.
    fileprivate func refuseCondition() throws {
        if headers[.ifMatch] != nil {
            throw HTTPProblem.parameter("If-Match", "it goes with PUT /v1/resources.")
        }
    }
}
