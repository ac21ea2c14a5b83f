# Run the study from a clone: `snakemake --cores all --use-conda`. The workflow is in workflow/.


include: "workflow/Snakefile"


# A target of an included file is not the default one.
rule default:
    default_target: True
    input:
        rules.all.input,
