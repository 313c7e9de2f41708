/// The assignments of an experiment or of a subject.
struct AssignmentList {
    private struct Assignment: Decodable {
        var experiment: String?
        var subject: String
        /// Of a sealed subject, its ID, where the key may see it.
        var opened: String?
        var variant: String
        var cohort: Int?
        var position: Int?
        var recordedAt: String?
    }

    let asOf: String?
    let limit: Limit?
    let format: OutputFormat

    func print(_ client: Client, experiment: String?, subject: String?) throws {
        let path =
            if let subject {
                ["v1", "subjects", subject, "assignments"]
            } else {
                ["v1", "experiments", experiment ?? "", "assignments"]
            }
        let first = subject == nil ? "subject" : "experiment"
        var table = Table([first, "variant", "cohort", "position", "recorded at"])
        try client.pages(
            of: Assignment.self, path, query: [("asOf", asOf)], limit: limit?.count
        ) { response, page in
            guard format == .table else { return Terminal.print(body: response.body) }
            table.print(
                page.items.map { item in
                    [
                        Table.Cell(
                            subject == nil
                                ? item.opened ?? item.subject : item.experiment ?? ""),
                        Table.Cell(item.variant),
                        Table.Cell(item.cohort.map(String.init) ?? ""),
                        Table.Cell(item.position.map(String.init) ?? ""),
                        Table.Cell(item.recordedAt ?? ""),
                    ]
                })
        }
    }
}
