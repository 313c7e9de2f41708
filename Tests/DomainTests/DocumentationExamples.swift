/// The YAML examples of the documentation, as the JSON that YAML means.
enum DocumentationExamples {
    static let draft = example(
        "draft", variants: [control, treatmentA],
        cohorts: [#"{"index":1,"variants":[\#(half)]}"#])

    static let secondCohort = example(
        "draft", variants: [control, treatmentA],
        cohorts: [
            #"{"index":1,"createdAt":"2020-08-22T04:30:08Z","variants":[\#(half)]}"#,
            """
            {"index":2,"variants":[{"variant":"control","split":0.7500},
            {"variant":"treatment-a","split":0.2500}]}
            """,
        ])

    static let active = example(
        "active", version: true, variants: [control, treatmentA, treatmentB],
        cohorts: [
            #"{"index":1,"createdAt":"2020-08-22T04:30:08Z","variants":[\#(half)]}"#, thirds,
        ])

    static let winner = example(
        "winner_declared", version: true, winner: #""treatment-a""#,
        variants: [control, treatmentA, treatmentB],
        cohorts: [
            #"{"index":1,"createdAt":"2020-08-22T04:30:08Z","variants":[\#(half)]}"#, thirds,
        ])

    private static let half =
        #"{"variant":"control","split":0.5000},{"variant":"treatment-a","split":0.5000}"#
    private static let thirds = """
        {"index":2,"createdAt":"2020-09-22T04:30:08Z","variants":[
        {"variant":"control","split":0.3333},{"variant":"treatment-a","split":0.3333},
        {"variant":"treatment-b","split":0.3333}]}
        """
    private static let control = """
        {"id":"control","isControl":true,"name":"Control","description":"Original, static title."}
        """
    private static let treatmentA = """
        {"id":"treatment-a","isControl":false,"name":"Limited Use case",
        "description":"Describes a limited use case to test specificity."}
        """
    private static let treatmentB = """
        {"id":"treatment-b","isControl":false,"name":"Expanded Use case",
        "description":"Describes a lengthier use case to test generality."}
        """

    private static func example(
        _ status: String, version: Bool = false, winner: String = "null", variants: [String],
        cohorts: [String]
    ) -> String {
        """
        {"schemaVersion":1,"kind":"experiment","metadata":{"id":"hero-nov-2024",
        \(version ? "\"resourceVersion\":1," : "")"status":"\(status)",
        "name":"Hero text test for November 2024",
        "description":"Test variations of the hero on the website home page. \
        Test launches in November 2024!","parentKind":"lab","parentId":"marketing"},
        "spec":{"subjectType":"anonymous_id",
        "hypothesis":"One of the new variants will perform better than the current static \
        control.","winningVariant":\(winner),"variants":[\(variants.joined(separator: ","))],
        "cohorts":[\(cohorts.joined(separator: ","))]}}
        """
    }
}
