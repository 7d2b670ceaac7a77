"""The field's update rules, each the choice of a metric M and of a gain T in Δ = R T (MK)ᵀ."""
