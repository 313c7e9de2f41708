import Domain
import EventLog
import Hummingbird
import JSON
import Postgres
import Webhooks

/// Endpoints that events are pushed to: registering, watching and mending them.
extension API {
    func addWebhookRoutes(to router: Router<APIContext>) {
        router.post("/v1/webhooks") { request, context in
            let actor = try authorize(request, .admin)
            return try await register(try await request.json(), actor)
        }
        router.get("/v1/webhooks") { request, context in
            _ = try authorize(request, .reader)
            let (state, position) = log.view.snapshot
            let webhooks = state.webhooks.values.sorted { $0.id < $1.id }
            let statuses = try await dispatching().status()
            return try Response(
                document: listPage(webhooks, next: nil, position: position) { writer, webhook in
                    writer.beginObject()
                    writer.members(of: webhook, statuses[webhook.id])
                    writer.endObject()
                }, for: request)
        }
        router.get("/v1/webhooks/:id") { request, context in
            _ = try authorize(request, .reader)
            let webhook = try webhook(context)
            let status = try await dispatching().status()[webhook.id]
            return try Response(
                document: json { $0.members(of: webhook, status) }, for: request)
        }
        router.patch("/v1/webhooks/:id") { request, context in
            let actor = try authorize(request, .admin)
            return try await update(try webhook(context), try await request.json(), actor)
        }
        router.delete("/v1/webhooks/:id") { request, context in
            let actor = try authorize(request, .admin)
            _ = try await change(try webhook(context).id, .remove, actor)
            return Response(status: .noContent)
        }
        addWebhookActions(to: router)
        addWebhookRepairs(to: router)
        addWebhookReplays(to: router)
    }

    private func addWebhookActions(to router: Router<APIContext>) {
        for (name, command) in [("pause", WebhookCommand.pause), ("resume", .resume)] {
            router.post("/v1/webhooks/:id/\(name)") { request, context in
                let actor = try authorize(request, .admin)
                let id = try webhook(context).id
                _ = try dispatching()
                _ = try await change(id, command, actor)
                return try await shown(id)
            }
        }
        router.post("/v1/webhooks/:id/rotate-secret") { request, context in
            let actor = try authorize(request, .admin)
            return try await rotate(try webhook(context), try await request.json(), actor)
        }
        router.post("/v1/webhooks/:id/test") { request, context in
            _ = try authorize(request, .admin)
            let webhook = try webhook(context)
            let dispatcher = try dispatching()
            guard let report = await dispatcher.test(webhook.id) else {
                throw HTTPProblem.unavailable(
                    "not-ready", "The webhook is not ready", "Try again in a moment.")
            }
            let hidden = try HiddenTexts(of: webhook, dispatcher.secretBox)
            return Response(json: json { $0.members(of: report, hiding: hidden) })
        }
    }

    // MARK: Settings

    private func register(_ body: JSONValue, _ actor: String) async throws -> Response {
        let dispatcher = try dispatching()
        guard body.object != nil else { throw Refusal.notAnObject }
        let problems = Problems()
        let reader = DocumentReader(body, "", problems)
        let id = reader.text("id") ?? "wh-\(KeySecret.randomHex(bytes: 6))"
        if !Webhook.isID(id) { reader.problem("id", Webhook.idRule) }
        let start = Self.start(body["from"], reader)
        let registration = try await Self.checked(problems.list) {
            () throws(Refusal) in try Registration(body, others: ["id", "from"])
        }
        let secret =
            registration.signingSecret ?? WebhookSecret(generating: registration.settings.signature)
        var settings = registration.settings
        settings.sealed = try registration.secrets.sealed(for: id, in: dispatcher.secretBox)
        let sealed = try secret.sealed(for: id, in: dispatcher.secretBox)
        _ = try await change(id, .create(id: id, settings, secret: sealed, start: start), actor)
        return Response(
            status: .created,
            json: json { writer in
                writer.key("id")
                writer.string(id)
                writer.secret(secret)
                if !registration.warnings.isEmpty {
                    writer.key("warnings")
                    writer.beginArray()
                    for warning in registration.warnings { writer.string(warning) }
                    writer.endArray()
                }
            })
    }

    /// Looking up a host blocks, so it is done on a thread that may.
    ///
    /// - Parameter problems: found before; they are refused along with what is found here.
    private static func checked(
        _ problems: [Problem], _ read: @escaping @Sendable () throws(Refusal) -> Registration
    ) async throws -> Registration {
        try await withCheckedThrowingContinuation { continuation in
            OSThread.start(name: "webhook check") {
                do throws(Refusal) {
                    let registration = try read()
                    guard problems.isEmpty else { throw Refusal.invalid(problems) }
                    continuation.resume(returning: registration)
                } catch {
                    var all = error.problems
                    all += problems.filter { !all.contains($0) }
                    continuation.resume(throwing: Refusal.invalid(all))
                }
            }
        }
    }

    private static func start(_ value: JSONValue?, _ reader: DocumentReader) -> WebhookStart {
        switch value {
        case nil, .null?, .string("now")?: return .now
        case .string("beginning")?: return .position(1)
        case let value?:
            if let position = value.integer, position >= 0 { return .position(position) }
            reader.problem("from", "from: give now, beginning or a position.")
            return .now
        }
    }

    private func update(
        _ webhook: Webhook, _ body: JSONValue, _ actor: String
    ) async throws -> Response {
        let box = try dispatching().secretBox
        let secrets = try EndpointSecrets(
            sealed: webhook.settings.sealed, for: webhook.id, in: box)
        guard body.object != nil else { throw Refusal.notAnObject }
        let registration = try await Self.checked([]) { () throws(Refusal) in
            try Registration(body, to: webhook, secrets: secrets)
        }
        var settings = registration.settings
        // What is sealed anew looks different each time, and is no change.
        settings.sealed =
            registration.secrets == secrets
            ? webhook.settings.sealed : try registration.secrets.sealed(for: webhook.id, in: box)
        let rule = "How deliveries are signed changes with rotate-secret."
        guard registration.signingSecret == nil else {
            throw Refusal.invalid([Problem("/secret", rule)])
        }
        guard settings.signature == webhook.settings.signature else {
            throw Refusal.invalid([Problem("/signature", rule)])
        }
        _ = try await change(
            webhook.id, .update(settings, expectedVersion: webhook.version), actor)
        return try await shown(webhook.id)
    }

    private func rotate(
        _ webhook: Webhook, _ body: JSONValue, _ actor: String
    ) async throws -> Response {
        let problems = Problems()
        let reader = DocumentReader(body, "", problems)
        reader.allow(["secret", "signature"])
        let kind: WebhookSignatureKind? = reader.value("signature")
        var secret = WebhookSecret(generating: kind ?? webhook.settings.signature)
        if let text = reader.text("secret", max: Limits.webhookHeaderBytesMax) {
            do throws(WebhookSecretError) { secret = try WebhookSecret(text) } catch {
                reader.problem("secret", "\(error)")
            }
        }
        if let kind, kind != secret.kind {
            reader.problem("secret", "The secret does not fit signature \(kind.rawValue).")
        }
        guard problems.list.isEmpty else { throw Refusal.invalid(problems.list) }
        let sealed = try secret.sealed(for: webhook.id, in: dispatching().secretBox)
        _ = try await change(webhook.id, .rotateSecret(sealed), actor)
        try await note(secret.kind, of: webhook.id, actor)
        return Response(
            json: json { writer in
                writer.key("id")
                writer.string(webhook.id)
                writer.secret(secret)
                writer.key("previousUntil")
                writer.string(
                    orNull: log.view.snapshot.state.webhooks[webhook.id]?.previousSecret?.until
                        .description)
            })
    }

    /// Has the settings say how deliveries are signed from now on.
    private func note(
        _ kind: WebhookSignatureKind, of id: String, _ actor: String
    ) async throws {
        guard let webhook = log.view.snapshot.state.webhooks[id],
            webhook.settings.signature != kind
        else { return }
        var settings = webhook.settings
        settings.signature = kind
        _ = try await change(id, .update(settings, expectedVersion: webhook.version), actor)
    }

    // MARK: Parts

    /// The dispatcher; refused on a node that has none.
    func dispatching() throws -> Dispatcher {
        guard let dispatcher else { throw HTTPProblem.noWebhooks }
        return dispatcher
    }

    func webhook(_ context: APIContext) throws -> Webhook {
        let id = try context.part("id")
        guard let webhook = log.view.snapshot.state.webhooks[id] else {
            throw HTTPProblem.notFound(
                "There is no webhook \(id.prefix(140)); list them with GET /v1/webhooks.")
        }
        return webhook
    }

    func change(
        _ id: String, _ command: WebhookCommand, _ actor: String
    ) async throws -> Receipt {
        try await log.sequencer.submit(.webhook(id, command), CommandContext(actor: actor))
    }

    /// An endpoint as it is after a change.
    func shown(_ id: String) async throws -> Response {
        guard let webhook = log.view.snapshot.state.webhooks[id] else {
            throw HTTPProblem.notFound("Webhook \(id) has been removed meanwhile.")
        }
        let status = try await dispatching().status()[id]
        return Response(json: json { $0.members(of: webhook, status) })
    }
}

extension Refusal {
    fileprivate static let notAnObject = invalid([Problem("", "Expected an object.")])
}
