import Domain
import EventLog
import Hummingbird
import JSON

extension API {
    /// Whoever sent the request, if their key's role allows what it needs.
    ///
    /// - Returns: the actor as events name it: `key/ID`, or `local` where no key is needed.
    func authorize(_ request: Request, _ needed: Role) throws -> String {
        guard let key = try key(of: request) else { return "local" }
        guard key.role.allows(needed) else { throw HTTPProblem.forbidden(key.role, needed) }
        return "key/\(key.id)"
    }

    /// What whoever sent the request may do.
    func role(_ request: Request) throws -> Role { try key(of: request)?.role ?? .admin }

    /// The key that the request came with; nil where it needs none.
    private func key(of request: Request) throws -> Key? {
        guard let header = request.headers[.authorization] else {
            guard servesWithoutKey else { throw HTTPProblem.noKey }
            guard request.isFromThisMachine else { throw HTTPProblem.crossOrigin }
            return nil
        }
        guard header.prefix(7).lowercased() == "bearer ",
            let parts = KeySecret.parts(of: header.dropFirst(7)),
            let key = log.view.key(parts.id), key.revokedAt == nil,
            KeySecret.matches(key, parts.secret)
        else { throw HTTPProblem.wrongKey }
        return key
    }

    func addKeyRoutes(to router: Router<APIContext>) {
        router.post("/v1/keys") { request, context in
            let actor = try authorize(request, .admin)
            let problems = Problems()
            let reader = DocumentReader(try await request.json(), "", problems)
            reader.allow(["id", "role", "name"])
            let role: Role? = reader.value("role", required: true)
            let name = reader.text("name", max: Limits.nameBytesMax)
            let id = reader.text("id") ?? KeySecret.randomHex(bytes: 4)
            if !KeySecret.isKeyID(id) { reader.problem("id", KeySecret.idRule) }
            guard problems.list.isEmpty, let role else { throw Refusal.invalid(problems.list) }
            let (secret, key) = KeySecret.make(id: id, role: role, name: name)
            _ = try await log.sequencer.submit(
                .createKey(key), CommandContext(actor: actor))
            return Response(
                status: .created,
                json: json { writer in
                    writer.members(of: key)
                    writer.key("secret")
                    writer.string(secret)
                })
        }
        router.get("/v1/keys") { request, context in
            _ = try authorize(request, .admin)
            let (state, position) = log.view.snapshot
            let keys = state.keys.values.sorted { $0.id < $1.id }
            return Response(
                json: listPage(keys, next: nil, position: position) { writer, key in
                    writer.beginObject()
                    writer.members(of: key)
                    writer.key("createdAt")
                    writer.string(orNull: key.createdAt?.description)
                    writer.key("revokedAt")
                    writer.string(orNull: key.revokedAt?.description)
                    writer.endObject()
                })
        }
        router.delete("/v1/keys/:id") { request, context in
            let actor = try authorize(request, .admin)
            _ = try await log.sequencer.submit(
                .revokeKey(id: try context.part("id")), CommandContext(actor: actor))
            return Response(status: .noContent)
        }
    }
}

extension JSONWriter {
    fileprivate mutating func members(of key: Key) {
        self.key("id")
        string(key.id)
        self.key("role")
        string(key.role.rawValue)
        self.key("name")
        string(orNull: key.name)
    }
}
