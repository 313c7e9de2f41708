/// The YAML examples of the documentation that the ledger follows, as they stand there.
enum Examples {
    static let all = [draft, secondCohort, active, winner]

    static let draft = """
        schemaVersion: 1
        kind: experiment
        metadata:
          id: hero-nov-2024
          status: draft
          name: Hero text test for November 2024
          description: Test variations of the hero on the website home page. Test launches in November 2024!
          parentKind: lab
          parentId: marketing
        spec:
          subjectType: anonymous_id
          hypothesis: "One of the new variants will perform better than the current static control."
          winningVariant:
          variants:
            - id: control
              isControl: true
              name: Control
              description: "Original, static title."
            - id: treatment-a
              isControl: false
              name: Limited Use case
              description: "Describes a limited use case to test specificity."
          cohorts:
            - index: 1
              variants:
                - variant: control
                  split: 0.5000
                - variant: treatment-a
                  split: 0.5000
        """

    static let secondCohort = """
        schemaVersion: 1
        kind: experiment
        metadata:
          id: hero-nov-2024
          status: draft
          name: Hero text test for November 2024
          description: Test variations of the hero on the website home page. Test launches in November 2024!
          parentKind: lab
          parentId: marketing
        spec:
          subjectType: anonymous_id
          hypothesis: "One of the new variants will perform better than the current static control."
          winningVariant:
          variants:
            - id: control
              isControl: true
              name: Control
              description: "Original, static title."
            - id: treatment-a
              isControl: false
              name: Limited Use case
              description: "Describes a limited use case to test specificity."
          cohorts:
            - index: 1
              createdAt: 2020-08-22T04:30:08Z
              variants:
                - variant: control
                  split: 0.5000
                - variant: treatment-a
                  split: 0.5000
            - index: 2
              variants:
                - variant: control
                  split: 0.7500
                - variant: treatment-a
                  split: 0.2500
        """

    static let active = """
        schemaVersion: 1
        kind: experiment
        metadata:
          id: hero-nov-2024
          resourceVersion: 1 # Ignored on update
          status: active
          name: Hero text test for November 2024
          description: Test variations of the hero on the website home page. Test launches in November 2024!
          parentKind: lab
          parentId: marketing
        spec:
          subjectType: anonymous_id
          hypothesis: "One of the new variants will perform better than the current static control."
          winningVariant:
          variants:
            - id: control
              isControl: true
              name: Control
              description: "Original, static title."
            - id: treatment-a
              isControl: false
              name: Limited Use case
              description: "Describes a limited use case to test specificity."
            - id: treatment-b
              isControl: false
              name: Expanded Use case
              description: "Describes a lengthier use case to test generality."
          cohorts:
            - index: 1
              createdAt: 2020-08-22T04:30:08Z
              variants:
                - variant: control
                  split: 0.5000
                - variant: treatment-a
                  split: 0.5000
            - index: 2
              createdAt: 2020-09-22T04:30:08Z
              variants:
                - variant: control
                  split: 0.3333
                - variant: treatment-a
                  split: 0.3333
                - variant: treatment-b
                  split: 0.3333
        """

    static let winner = """
        schemaVersion: 1
        kind: experiment
        metadata:
          id: hero-nov-2024
          resourceVersion: 1 # Ignored on update
          status: winner_declared
          name: Hero text test for November 2024
          description: Test variations of the hero on the website home page. Test launches in November 2024!
          parentKind: lab
          parentId: marketing
        spec:
          subjectType: anonymous_id
          hypothesis: "One of the new variants will perform better than the current static control."
          winningVariant: treatment-a
          variants:
            - id: control
              isControl: true
              name: Control
              description: "Original, static title."
            - id: treatment-a
              isControl: false
              name: Limited Use case
              description: "Describes a limited use case to test specificity."
            - id: treatment-b
              isControl: false
              name: Expanded Use case
              description: "Describes a lengthier use case to test generality."
          cohorts:
            - index: 1
              createdAt: 2020-08-22T04:30:08Z
              variants:
                - variant: control
                  split: 0.5000
                - variant: treatment-a
                  split: 0.5000
            - index: 2
              createdAt: 2020-09-22T04:30:08Z
              variants:
                - variant: control
                  split: 0.3333
                - variant: treatment-a
                  split: 0.3333
                - variant: treatment-b
                  split: 0.3333
        """
}
