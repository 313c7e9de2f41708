import Curl

/// Why a command failed, in words that say what to do.
struct CommandFailure: Error, CustomStringConvertible {
    /// The first line, without the word error.
    let message: String
    /// Lines that follow, indented.
    var details: [String] = []
    /// Whether the server, or a proxy before it, asks to try again later.
    var isTemporary = false

    var description: String {
        (["error: \(message)"] + details.map { "  \($0)" }).joined(separator: "\n")
    }
}

extension CommandFailure {
    /// The server could not be reached, or the answer did not come.
    init(_ error: CurlError) {
        self.init(message: error.description)
        if error.kind == .couldNotConnect || error.kind == .couldNotResolve {
            details = [
                "Start the ledger with `ledger serve`, or name another one with --url or LEDGER_URL."
            ]
        }
    }

    /// The server refused, with problem details (RFC 9457) if it is a ledger.
    init(_ response: Response, sentKey: Bool) {
        if let problem = try? Problem(response) {
            let texts = [problem.title ?? "HTTP \(response.status)", problem.detail]
            self.init(message: texts.compactMap(\.self).joined(separator: ": "))
            details = (problem.errors ?? []).map { error in
                let place = error.pointer.map { "at \($0.isEmpty ? "/" : $0): " } ?? ""
                return place + (error.detail ?? "")
            }
        } else {
            let body = String(decoding: response.body.prefix(200), as: UTF8.self)
            self.init(message: "HTTP \(response.status)" + (body.isEmpty ? "" : ": \(body)"))
        }
        details = details.map(Display.oneLine)
        isTemporary = [502, 503, 504].contains(response.status)
        if response.status == 401, !sentKey {
            details.append("No key was sent: give one with --key or LEDGER_KEY.")
        }
    }
}

/// Problem details as the ledger sends them.
private struct Problem: Decodable {
    struct Part: Decodable {
        var pointer: String?
        var detail: String?
    }

    var title: String?
    var detail: String?
    var errors: [Part]?

    init(_ response: Response) throws {
        struct NoProblem: Error {}
        guard response.head.header("Content-Type")?.hasPrefix("application/problem+json") == true
        else { throw NoProblem() }
        self = try ServerJSON.decode(Problem.self, from: response.body)
    }
}
